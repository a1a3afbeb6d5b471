// The page for whoever uses a keyboard or a screen reader, in the light and in the dark.

import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { click, expect, look, lookOf, map, test } from "./support/fixtures.ts";

/** Violations that keep somebody out, as axe sees them. */
async function serious(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`axe finds nothing serious, ${colorScheme}`, async ({ page, others }) => {
    // Texts that are still coming or going have no colour of their own.
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const eventId = await others.house({ standing: 30 });
    await look(page, eventId);
    expect(await serious(page)).toEqual([]);
    await click(page, "left:1:1");
    await page.getByText("All seats as a list").click();
    await page.getByText(/^The left \d/).click();
    expect(await serious(page)).toEqual([]);
    await page.getByRole("button", { name: "Hold 1 place" }).click();
    await expect(page.getByRole("timer")).toBeVisible();
    expect(await serious(page)).toEqual([]);
    await page.getByRole("button", { name: "Check out" }).click();
    await page.getByRole("button", { name: "Confirm the payment" }).click();
    await expect(page.getByRole("heading", { name: "Your tickets" })).toBeVisible();
    expect(await serious(page)).toEqual([]);
    await others.hold(eventId, ["right:1:1"]);
    await page.goto("/ops");
    await expect(page.getByText("Up to date")).toBeVisible();
    expect(await serious(page)).toEqual([]);
  });
}

test("a seat is held by keyboard alone, and told", async ({ page, others }) => {
  const eventId = await others.house();
  await others.hold(eventId, ["left:1:2"]);
  await look(page, eventId);
  const cursor = map(page).getByRole("option");
  while (!(await map(page).evaluate((element) => element === document.activeElement))) {
    await page.keyboard.press("Tab");
  }
  await expect(cursor).toHaveText("Row 1 seat 1, The left; €60.00; available");
  await page.keyboard.press("ArrowRight");
  await expect(cursor).toHaveText("Row 1 seat 2, The left; €60.00; held by somebody");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("Row 1 seat 2, The left is not available");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("End");
  await expect(cursor).toHaveText("Row 2 seat 10, The left; €60.00; available");
  await page.keyboard.press("ArrowRight");
  await expect(cursor).toContainText("Row 2 seat 1, The right");
  await page.keyboard.press("PageUp");
  await page.keyboard.press("Home");
  await expect(cursor).toContainText("Row 1 seat 1, The left");
  await expect(map(page)).toHaveAttribute("aria-activedescendant", "seat-0");
  await page.keyboard.press("Space");
  await expect(cursor).toHaveAttribute("aria-selected", "true");
  await expect(page.getByRole("status").filter({ hasText: "chosen, 1 in all" })).toBeAttached();
  const button = page.getByRole("button", { name: "Hold 1 place" });
  while (!(await button.evaluate((element) => element === document.activeElement))) {
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await expect.poll(() => lookOf(page, "left:1:1")).toBe("mine");
  await expect(page.getByRole("status").filter({ hasText: "held for you" })).toBeVisible();
  // The button is gone; who pressed it is beside the map, not where the page begins.
  await expect(page.getByRole("complementary", { name: "Your places" })).toBeFocused();
});

test("the list chooses seats as the map does", async ({ page, others }) => {
  const eventId = await others.house();
  await look(page, eventId);
  await page.getByText("All seats as a list").click();
  await page.getByText(/^The right \d/).click();
  const seat = page.getByRole("button", { name: /^Row 2 seat 3, The right/ });
  await seat.click();
  await expect(seat).toHaveAttribute("aria-pressed", "true");
  expect(await lookOf(page, "right:2:3")).toBe("chosen");
});
