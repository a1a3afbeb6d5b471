// What happens anywhere is seen everywhere, at once, and after a lost connection, too.

import {
  click,
  colourOf,
  expect,
  look,
  lookOf,
  resumes,
  snapshots,
  test,
} from "./support/fixtures.ts";
import { wireTo } from "./support/proxy.ts";
import { median } from "./support/numbers.ts";

const SEEN_WITHIN_MS = 300;
// `styles/colours.css`, in the light.
const HELD = "#d97706";
const REAR = "#0d94a1";

test("one browser holds and the other sees it within 300 ms", async ({ browserOf, others }) => {
  const eventId = await others.house();
  const [ann, ben] = [await browserOf(), await browserOf()];
  await look(ann, eventId);
  await look(ben, eventId);
  const [fromClick, fromAnswer]: [number[], number[]] = [[], []];
  for (const row of [1, 2, 3, 4, 5]) {
    const seatId = `left:${row}:4`;
    await click(ann, seatId);
    const painted = ben.evaluate((id) => window.__holdfast.painted(id, "held"), seatId);
    const answered = ann.evaluate((id) => window.__holdfast.painted(id, "mine"), seatId);
    const name = row === 1 ? "Hold 1 place" : "Add to your hold";
    const clicked = await ann.getByRole("button", { name }).evaluate((button) => {
      (button as HTMLButtonElement).click();
      return performance.timeOrigin + performance.now();
    });
    fromClick.push((await painted) - clicked);
    fromAnswer.push((await painted) - (await answered));
  }
  expect(await colourOf(ben, "left:5:4")).toBe(HELD);
  expect(await colourOf(ben, "left:5:5")).toBe(REAR);
  const told = (all: number[]): string => all.map((ms) => ms.toFixed(0)).join(", ");
  console.log(`seen by the other after the click: ${told(fromClick)} ms`);
  console.log(`and after it was painted by who holds it: ${told(fromAnswer)} ms`);
  expect(median(fromClick)).toBeLessThanOrEqual(SEEN_WITHIN_MS);
});

test("a cut connection shows a banner, and goes on from where it was", async ({
  browserOf,
  others,
  server,
}) => {
  const eventId = await others.house();
  const wire = await wireTo(server.grpc);
  // The page may call its own server alone; here it is to call through the wire.
  const page = await browserOf({ bypassCSP: true });
  await page.route("**/page.json", (route) =>
    route.fulfill({ json: { grpc_url: wire.url, rush: false, version: "test" } }),
  );
  await look(page, eventId);
  await others.hold(eventId, ["left:1:1"]);
  await expect.poll(() => lookOf(page, "left:1:1")).toBe("held");

  wire.cut();
  const banner = page.getByText("The connection is cut");
  await expect(banner).toBeVisible();
  await others.hold(eventId, ["left:2:2", "right:3:3"]);
  expect(await lookOf(page, "left:2:2")).toBe("free");

  wire.mend();
  await expect.poll(() => lookOf(page, "left:2:2")).toBe("held");
  expect(await lookOf(page, "right:3:3")).toBe("held");
  await expect(banner).toBeHidden();
  expect(await resumes(page)).toBeGreaterThan(0);
  expect(await snapshots(page)).toBe(1);
  wire.close();
});

test("a browser that is offline says so, and comes back", async ({ page, context, others }) => {
  const eventId = await others.house();
  await look(page, eventId);
  await context.setOffline(true);
  await expect(page.getByText("The connection is cut")).toBeVisible();
  await others.hold(eventId, ["right:1:1"]);
  await context.setOffline(false);
  await expect.poll(() => lookOf(page, "right:1:1")).toBe("held");
  expect(await snapshots(page)).toBe(1);
});

test("when a hold runs out, its seats are free in both browsers", async ({ browserOf, others }) => {
  const eventId = await others.house({ holdTtlMs: 3_000 });
  const [ann, ben] = [await browserOf(), await browserOf()];
  await look(ann, eventId);
  await look(ben, eventId);
  await click(ann, "left:1:1");
  await ann.getByRole("button", { name: "Hold 1 place" }).click();
  await expect.poll(() => lookOf(ben, "left:1:1")).toBe("held");
  const timer = ann.getByRole("timer");
  await expect(timer).toHaveText(/^0:0[23]$/);
  await expect(timer).toHaveText(/^0:0[01]$/);
  await expect(ann.getByRole("alert").getByText("Your hold has run out")).toBeVisible();
  await expect.poll(() => lookOf(ann, "left:1:1")).toBe("free");
  await expect.poll(() => lookOf(ben, "left:1:1")).toBe("free");
  await expect(timer).toBeHidden();
});

test("a chart that grows is drawn anew", async ({ page, others }) => {
  const eventId = await others.house();
  await look(page, eventId);
  await click(page, "right:1:1");
  await others.catalog.addSeats({
    eventId,
    sectionId: "left",
    rows: [{ rowId: "7", seats: [{ seatId: "left:7:1", priceCategoryId: "rear", x: -3, y: 12 }] }],
  });
  await others.hold(eventId, ["left:7:1"]);
  await expect
    .poll(() => lookOf(page, "left:7:1").catch(() => "not there"), { timeout: 15_000 })
    .toBe("held");
  expect(await lookOf(page, "right:1:1")).toBe("chosen");
  await expect(page.getByRole("button", { name: "Hold 1 place" })).toBeVisible();
});
