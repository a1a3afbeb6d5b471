// The page on a phone: fingers, and a narrow screen.

import type { CDPSession } from "@playwright/test";
import { expect, look, lookOf, map, placeOf, test } from "./support/fixtures.ts";

const PHONE = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 3,
  hasTouch: true,
  isMobile: true,
};
const PICTURES = "../../../target/page";

type Fingers = { x: number; y: number }[];

async function touch(session: CDPSession, type: "Start" | "Move" | "End", fingers: Fingers) {
  const touchPoints = fingers.map(({ x, y }, id) => ({ x, y, id }));
  await session.send("Input.dispatchTouchEvent", { type: `touch${type}`, touchPoints });
}

test("two fingers zoom, one moves, a tap chooses", async ({ browserOf, others }) => {
  const page = await browserOf(PHONE);
  const eventId = await others.house({ rows: 20, seats: 20 });
  await look(page, eventId);
  const box = await map(page).boundingBox();
  if (!box) throw new Error("there is no map");
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const apart = (by: number): Fingers => [
    { x: middle.x - by, y: middle.y },
    { x: middle.x + by, y: middle.y },
  ];
  const scale = () => page.evaluate(() => window.__holdfast.scale());
  const before = await scale();
  const session = await page.context().newCDPSession(page);
  await touch(session, "Start", apart(20));
  for (const by of [30, 45, 60, 75, 90]) await touch(session, "Move", apart(by));
  await touch(session, "End", []);
  await expect.poll(scale).toBeGreaterThan(before * 2.5);
  expect(await lookOf(page, "right:8:3")).toBe("free");

  // What a finger moved is moved; nothing was chosen by it.
  const stood = await placeOf(page, "right:8:3");
  await touch(session, "Start", [middle]);
  await touch(session, "Move", [{ x: middle.x - 30, y: middle.y }]);
  await touch(session, "Move", [{ x: middle.x - 60, y: middle.y }]);
  await touch(session, "End", []);
  await expect.poll(async () => stood.x - (await placeOf(page, "right:8:3")).x).toBeGreaterThan(40);
  await expect(page.getByRole("button", { name: /^Hold \d place/ })).toBeHidden();

  const seat = await placeOf(page, "right:8:3");
  await page.touchscreen.tap(box.x + seat.x, box.y + seat.y);
  await expect.poll(() => lookOf(page, "right:8:3")).toBe("chosen");
  await page.screenshot({ path: `${PICTURES}/phone-near.png` });
});

test("nothing is wider than a phone", async ({ browserOf, others }) => {
  const page = await browserOf(PHONE);
  await look(page, "demo");
  const width = () => page.evaluate(() => document.documentElement.scrollWidth);
  expect(await width()).toBeLessThanOrEqual(390);
  await page.screenshot({ path: `${PICTURES}/phone-rest.png` });
  const eventId = await others.house();
  await look(page, eventId);
  await page.getByRole("button", { name: "Hold the best 4 together" }).tap();
  await expect(page.getByRole("timer")).toBeVisible();
  await page.screenshot({ path: `${PICTURES}/phone-hold.png` });
  expect(await width()).toBeLessThanOrEqual(390);
  await page.goto("/ops");
  await expect(page.getByText("Up to date")).toBeVisible();
  expect(await width()).toBeLessThanOrEqual(390);
  await page.screenshot({ path: `${PICTURES}/phone-ops.png` });
});
