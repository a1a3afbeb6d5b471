// Everybody comes at once: what frames cost, and pictures of it.

import type { Page } from "@playwright/test";
import { expect, look, map, placeOf, test } from "./support/fixtures.ts";
import { arena } from "./support/houses.ts";
import { figures, quantile } from "./support/numbers.ts";

// A trace takes pictures all the time, and frames wait for it.
test.use({ trace: "off" });

const FRAME_MS = 1_000 / 60;
const PICTURES = "../../../target/page";
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true };

async function counts(page: Page): Promise<{ held: number; sold: number }> {
  const all = await page.getByRole("definition").allInnerTexts();
  const [, held = 0, sold = 0] = all.map((text) => Number(text.replace(/\D/g, "")));
  return { held, sold };
}

test("a rush is painted as it comes", async ({ page, browserOf }) => {
  await look(page, "demo");
  await page.screenshot({ path: `${PICTURES}/desktop-rest.png` });
  const phone = await browserOf(PHONE);
  await look(phone, "demo");
  await page.getByRole("button", { name: "Hold the best 4 together" }).click();
  await expect(page.getByRole("timer")).toBeVisible();
  await page.evaluate(() => window.__holdfast.record());
  await page.getByRole("button", { name: "Rush" }).click();
  const sold = async (): Promise<number> => (await counts(page)).sold;
  await expect.poll(sold, { timeout: 30_000 }).toBeGreaterThan(350);
  const frames = await page.evaluate(() => window.__holdfast.stop());
  await page.screenshot({ path: `${PICTURES}/desktop-rush.png` });
  await phone.screenshot({ path: `${PICTURES}/phone-rush.png` });
  await map(page).hover({ position: await placeOf(page, "parterre-left:1:12") });
  await page.mouse.wheel(0, -400);
  await page.mouse.move(0, 0);
  await expect.poll(() => page.evaluate(() => window.__holdfast.isResting())).toBe(true);
  await page.screenshot({ path: `${PICTURES}/desktop-rush-near.png` });
  await page.getByRole("button", { name: "The whole house" }).click();
  await page.emulateMedia({ colorScheme: "dark" });
  await page.screenshot({ path: `${PICTURES}/desktop-rush-dark.png` });
  console.log(`a rush on 1,744 seats: paint ${figures(frames.paints)}`);
  console.log(`  from frame to frame: ${figures(frames.intervals)}`);
  expect(quantile(frames.paints, 0.95)).toBeLessThan(FRAME_MS);
  await page.getByRole("button", { name: "End the rush" }).click();
  await expect(page.getByRole("button", { name: "Rush", exact: true })).toBeVisible();
});

test("2,000 seats repaint in each frame", async ({ page, others }) => {
  const eventId = await others.house({ sections: ["left", "right"], rows: 25, seats: 40 });
  await look(page, eventId);
  const frames = await page.evaluate(() => window.__holdfast.repaint(120));
  console.log(`all of 2,000 seats in each frame: paint ${figures(frames.paints)}`);
  console.log(`  from frame to frame: ${figures(frames.intervals)}`);
  expect(frames.paints.length).toBeGreaterThan(100);
  expect(quantile(frames.paints, 0.5)).toBeLessThan(FRAME_MS);
});

test("20,000 seats stay smooth", async ({ page, others }) => {
  const eventId = await arena(others);
  await look(page, eventId);
  await page.screenshot({ path: `${PICTURES}/arena-rest.png` });
  const frames = await page.evaluate(() => window.__holdfast.repaint(60));
  console.log(`all of 20,000 seats in each frame: paint ${figures(frames.paints)}`);
  const box = await map(page).boundingBox();
  if (!box) throw new Error("there is no map");
  const block = await placeOf(page, "116:10:10");
  const [x, y] = [box.x + block.x, box.y + block.y];
  await page.mouse.move(x, y);
  await page.evaluate(() => window.__holdfast.record());
  for (let step = 0; step < 12; step++) await page.mouse.wheel(0, -120);
  await page.mouse.down();
  for (let step = 1; step <= 30; step++) await page.mouse.move(x - step * 6, y + step * 4);
  await page.mouse.up();
  for (let step = 0; step < 12; step++) await page.mouse.wheel(0, 30);
  const moved = await page.evaluate(() => window.__holdfast.stop());
  console.log(`20,000 seats zoomed and moved: paint ${figures(moved.paints)}`);
  console.log(`  from frame to frame: ${figures(moved.intervals)}`);
  await expect.poll(() => page.evaluate(() => window.__holdfast.isResting())).toBe(true);
  await page.screenshot({ path: `${PICTURES}/arena-near.png` });
  expect(quantile(moved.paints, 0.5)).toBeLessThan(FRAME_MS);
});
