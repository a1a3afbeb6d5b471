// From a choice to tickets, and all that can come between.

import jsqr from "jsqr";
import { PNG } from "pngjs";
import { click, expect, look, lookOf, test } from "./support/fixtures.ts";
import { wireTo } from "./support/proxy.ts";

test("a seat that somebody takes flashes and drops out of the choice", async ({ page, others }) => {
  const eventId = await others.house();
  await look(page, eventId);
  await click(page, "left:1:3");
  await click(page, "left:1:4");
  expect(await lookOf(page, "left:1:4")).toBe("chosen");
  await others.hold(eventId, ["left:1:4"]);
  await expect(page.getByRole("alert")).toContainText("Row 1 seat 4, The left");
  expect(await lookOf(page, "left:1:4")).toBe("held");
  expect(await page.evaluate(() => window.__holdfast.counted.flashes)).toBe(1);
  await expect(page.getByRole("button", { name: "Hold 1 place" })).toBeEnabled();
});

test("a Hold that comes too late names the seats, with the reason", async ({
  browserOf,
  others,
  server,
}) => {
  const eventId = await others.house();
  const wire = await wireTo(server.grpc);
  const page = await browserOf({ bypassCSP: true });
  await page.route("**/page.json", (route) => route.fulfill({ json: { grpc_url: wire.url } }));
  await look(page, eventId);
  await click(page, "right:2:5");
  await click(page, "right:2:6");
  // It sees nothing of what happens now.
  await page.route("**/StreamSeatUpdates", (route) => route.abort());
  wire.cut();
  await others.hold(eventId, ["right:2:6"]);
  wire.mend();
  await page.getByRole("button", { name: "Hold 2 places" }).click();
  const alert = page.getByRole("alert");
  await expect(alert).toContainText("Somebody was faster: Row 2 seat 6, The right");
  await expect(alert).toContainText("SEAT_UNAVAILABLE");
  expect(await page.evaluate(() => window.__holdfast.counted.flashes)).toBe(1);
  expect(await lookOf(page, "right:2:5")).toBe("chosen");
  await page.getByRole("button", { name: "Hold 1 place" }).click();
  await expect.poll(() => lookOf(page, "right:2:5")).toBe("mine");
  wire.close();
});

test("the best four are held together, extended, and released", async ({ page, others }) => {
  const eventId = await others.house({
    holdTtlMs: 60_000,
    more: { maxHoldTime: { seconds: 600n } },
  });
  await look(page, eventId);
  await page.getByRole("button", { name: "Hold the best 4 together" }).click();
  const held = page.getByRole("region", { name: "Your hold" });
  await expect(held.getByText(/^Row 1 seat/)).toHaveCount(4);
  await expect(held.getByText("€240.00")).toBeVisible();
  const timer = page.getByRole("timer");
  await expect(timer).toHaveText(/^0:5[0-7]$/);
  await page.getByRole("button", { name: "More time" }).click();
  await expect(timer).toHaveText(/1:00|0:59/);
  await held.getByRole("button", { name: /^Give back Row 1/ }).first().click();
  await expect(held.getByText(/^Row 1 seat/)).toHaveCount(3);
  await page.getByRole("button", { name: "Release" }).click();
  await expect(held).toBeHidden();
  await expect(page.getByRole("definition").nth(1)).toHaveText("0");
});

test("best together is asked of a price and a section", async ({ page, others }) => {
  const eventId = await others.house();
  await look(page, eventId);
  await page.getByRole("combobox", { name: "Price" }).selectOption("rear");
  await page.getByRole("combobox", { name: "Section" }).selectOption("right");
  await page.getByRole("button", { name: "One less: Seats together" }).click();
  await page.getByRole("button", { name: "Hold the best 3 together" }).click();
  const held = page.getByRole("region", { name: "Your hold" });
  await expect(held.getByText(/^Row 4 seat \d, The right$/)).toHaveCount(3);
});

test("a hold becomes an order with a code for each ticket", async ({ page, others }) => {
  const eventId = await others.house({ standing: 20 });
  await look(page, eventId);
  await click(page, "left:1:5");
  await page.getByRole("button", { name: "One more: Floor" }).click();
  await page.getByRole("button", { name: "One more: Floor" }).click();
  await page.getByRole("button", { name: "Hold 3 places" }).click();
  await expect(page.getByText("2 × Floor")).toBeVisible();
  await expect(page.getByText("€15.00 · 18 left")).toBeVisible();
  await page.getByRole("button", { name: "Check out" }).click();
  await expect(page.getByText(/waits for its payment of €90.00/)).toBeVisible();
  await page.getByRole("button", { name: "Confirm the payment" }).click();
  const codes = page.getByRole("img", { name: /^QR code of the ticket for/ });
  await expect(codes).toHaveCount(3);
  for (const code of await codes.all()) {
    const png = PNG.sync.read(await code.screenshot());
    const read = jsqr(new Uint8ClampedArray(png.data), png.width, png.height);
    expect(read?.data).toBe(await code.getAttribute("data-ticket"));
  }
  await expect.poll(() => lookOf(page, "left:1:5")).toBe("bought");
  await page.screenshot({ path: "../../../target/page/order.png" });
  await page.reload();
  await expect(codes).toHaveCount(3);
  await page.getByRole("button", { name: "Back to the house" }).click();
  await expect.poll(() => lookOf(page, "left:1:5")).toBe("sold");
});

test("an order that is not paid can be cancelled", async ({ page, others }) => {
  const eventId = await others.house();
  await look(page, eventId);
  await click(page, "left:3:3");
  await page.getByRole("button", { name: "Hold 1 place" }).click();
  await page.getByRole("button", { name: "Check out" }).click();
  await expect(page.getByText(/waits for its payment/)).toBeVisible();
  await page.reload();
  await page.getByRole("button", { name: "Cancel the order" }).click();
  await expect.poll(() => lookOf(page, "left:3:3")).toBe("free");
});

test("a tab that is reloaded finds its hold again, and adds to it", async ({ page, others }) => {
  const eventId = await others.house();
  await look(page, eventId);
  await click(page, "left:2:2");
  await page.getByRole("button", { name: "Hold 1 place" }).click();
  await expect.poll(() => lookOf(page, "left:2:2")).toBe("mine");
  await page.reload();
  await expect.poll(() => lookOf(page, "left:2:2").catch(() => "")).toBe("mine");
  await expect(page.getByRole("timer")).toHaveText(/14:5\d|15:00/);
  await click(page, "left:2:3");
  await page.getByRole("button", { name: "Add to your hold" }).click();
  await expect.poll(() => lookOf(page, "left:2:3")).toBe("mine");
  await expect(page.getByRole("region", { name: "Your hold" })).toContainText("€120.00");
});

test("a house without coordinates is laid out by its rows", async ({ page, others }) => {
  const eventId = await others.house({ places: false, sections: ["left", "middle", "right"] });
  await look(page, eventId);
  const at = (id: string) => page.evaluate((seat) => window.__holdfast.placeOf(seat), id);
  const [first, next, behind] = [await at("left:1:1"), await at("left:1:2"), await at("left:2:1")];
  expect(next.x).toBeGreaterThan(first.x + 5);
  expect(next.y).toBeCloseTo(first.y, 3);
  expect(behind.y).toBeGreaterThan(first.y + 5);
  await click(page, "middle:3:3");
  expect(await lookOf(page, "middle:3:3")).toBe("chosen");
});
