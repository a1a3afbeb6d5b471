// What goes another way than it should: lost answers, other hands, second thoughts.

import { click, expect, look, lookOf, map, placeOf, test } from "./support/fixtures.ts";

test("a page of another machine without TLS works, too", async ({ page, others, server }) => {
  test.skip(process.env["PAGE"] === "dist", "only the browser knows that name");
  const eventId = await others.house();
  const { port } = new URL(server.http);
  await page.goto(`http://holdfast.test:${port}/?event=${eventId}`);
  expect(await page.evaluate(() => isSecureContext)).toBe(false);
  await expect(page.getByText("Live", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Hold the best 4 together" }).click();
  await expect(page.getByRole("timer")).toBeVisible();
});

test("nothing that the page does is against its policy", async ({ page, others }) => {
  const complaints: string[] = [];
  page.on("console", (said) => {
    if (said.type() === "error") complaints.push(said.text());
  });
  const eventId = await others.house({ standing: 5 });
  await look(page, eventId);
  await map(page).hover({ position: await placeOf(page, "left:1:1") });
  await expect(page.locator(".tip")).toBeVisible();
  await page.getByRole("button", { name: "Hold the best 4 together" }).click();
  await page.getByRole("button", { name: "Check out" }).click();
  await page.getByRole("button", { name: "Confirm the payment" }).click();
  await expect(page.getByRole("img", { name: /^QR code/ })).toHaveCount(4);
  expect(complaints).toEqual([]);
});

test("a button that is pressed twice at once holds once, and a reload finds it", async ({
  page,
  others,
}) => {
  const eventId = await others.house();
  await look(page, eventId);
  await click(page, "left:2:2");
  await page.getByRole("button", { name: "Hold 1 place" }).evaluate((button) => {
    (button as HTMLButtonElement).click();
    (button as HTMLButtonElement).click();
  });
  await expect.poll(() => lookOf(page, "left:2:2")).toBe("mine");
  await page.reload();
  await expect.poll(() => lookOf(page, "left:2:2").catch(() => "")).toBe("mine");
});

test("a hold that an operator ends is told to be ended", async ({ page, others }) => {
  const eventId = await others.house({ standing: 5 });
  await look(page, eventId);
  await click(page, "left:2:2");
  await page.getByRole("button", { name: "Hold 1 place" }).click();
  await expect(page.getByRole("timer")).toBeVisible();
  await others.endHold(eventId);
  const alert = page.getByRole("alert");
  await expect(alert).toContainText("Your hold was ended");
  await expect(page.getByRole("timer")).toBeHidden();

  // The stream does not name units of areas.
  await page.getByRole("button", { name: "One more: Floor" }).click();
  await page.getByRole("button", { name: "Hold 1 place" }).click();
  await expect(page.getByRole("timer")).toBeVisible();
  await others.endHold(eventId);
  await expect(page.getByRole("timer")).toBeHidden({ timeout: 15_000 });
  await expect(alert).toContainText("Your hold was ended");
});

test("an order that somebody else confirms brings its tickets", async ({ page, others }) => {
  const eventId = await others.house();
  await look(page, eventId);
  await page.getByRole("button", { name: "Hold the best 4 together" }).click();
  await page.getByRole("button", { name: "Check out" }).click();
  await expect(page.getByText(/waits for its payment/)).toBeVisible();
  const { holdId, holderId } = await others.openHold(eventId);
  await others.reservation.confirm({ eventId, holdId, holderId, paymentReference: "a-provider" });
  await expect(page.getByRole("heading", { name: "Your tickets" })).toBeVisible();
  await expect(page.getByRole("img", { name: /^QR code/ })).toHaveCount(4);
});

test("the best seats may be those that were chosen", async ({ page, others }) => {
  const eventId = await others.house({ sections: ["left"], rows: 1, seats: 4 });
  await look(page, eventId);
  await click(page, "left:1:2");
  // What the stream tells comes sooner than the answer.
  await page.route("**/Hold", async (route) => {
    const response = await route.fetch();
    await expect.poll(() => lookOf(page, "left:1:1")).toBe("held");
    await route.fulfill({ response });
  });
  await page.getByRole("button", { name: "Hold the best 4 together" }).click();
  await expect.poll(() => lookOf(page, "left:1:2")).toBe("mine");
  expect(await page.evaluate(() => window.__holdfast.counted.flashes)).toBe(0);
  await expect(page.getByRole("button", { name: "Add to your hold" })).toBeHidden();
});

test("no more of an area is wanted than there is", async ({ page, others }) => {
  const eventId = await others.house({ sections: ["left"], rows: 2, standing: 2 });
  await look(page, eventId);
  const at = await page.evaluate(() => window.__holdfast.middleOf("floor"));
  for (const _ of [1, 2, 3]) await map(page).click({ position: at });
  await expect(page.getByRole("alert")).toContainText("More are not to be had");
  await page.getByRole("button", { name: "Hold 2 places" }).click();
  await expect(page.getByText("2 × Floor")).toBeVisible();
});

test("a Hold that is answered late is not shown in another event", async ({ page, others }) => {
  const [one, other] = [await others.house(), await others.house()];
  await look(page, one);
  await click(page, "left:1:1");
  let [tellMade, answer] = [(): void => undefined, (): void => undefined];
  const isMade = new Promise<void>((over) => (tellMade = over));
  const isLate = new Promise<void>((over) => (answer = over));
  await page.route("**/Hold", async (route) => {
    const response = await route.fetch();
    tellMade();
    await isLate;
    await route.fulfill({ response });
  });
  await page.getByRole("button", { name: "Hold 1 place" }).click();
  await isMade;
  const events = page.getByRole("combobox", { name: "Event" });
  await events.selectOption(other);
  await expect(page.getByText("Live", { exact: true })).toBeVisible();
  const said = page.waitForResponse("**/Hold");
  answer();
  await said;
  await click(page, "left:1:2");
  await expect(page.getByRole("button", { name: "Hold 1 place" })).toBeEnabled();
  await expect(page.getByRole("timer")).toBeHidden();
  // It is found where it was made.
  await events.selectOption(one);
  await expect.poll(() => lookOf(page, "left:1:1").catch(() => "")).toBe("mine");
});

test("an event that is not there is not said to be tried again", async ({ page }) => {
  await page.goto("/?event=nowhere");
  await expect(page.getByText("Not live")).toBeVisible();
  await expect(page.getByText("it is tried again")).toBeHidden();
});

test("a hold that runs out while nobody answers is asked for once at a time", async ({
  page,
  others,
}) => {
  const eventId = await others.house({ holdTtlMs: 2_000 });
  await look(page, eventId);
  await click(page, "left:1:1");
  let waiting = 0;
  await page.route("**/GetHold", () => void (waiting += 1));
  await page.getByRole("button", { name: "Hold 1 place" }).click();
  await expect(page.getByRole("timer")).toHaveText("0:00");
  // The clock's, and the stream's when the server has ended it.
  await expect.poll(() => page.getByRole("definition").nth(1).textContent()).toBe("0");
  await expect.poll(() => waiting).toBe(2);
  const frames = () => page.evaluate(() => window.__holdfast.repaint(90).then(() => undefined));
  await frames();
  expect(waiting).toBe(2);
});

test("operators hear that the server says nothing", async ({ page }) => {
  await page.goto("/ops");
  await expect(page.getByText("Up to date")).toBeVisible();
  await page.route("**/ListEvents", () => undefined);
  await page.route("**/metrics", () => undefined);
  await expect(page.getByText("In part")).toBeVisible({ timeout: 20_000 });
  await expect(page.getByRole("alert")).toContainText("Metrics");
});
