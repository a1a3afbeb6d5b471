// The operator's page.

import { expect, test } from "./support/fixtures.ts";

test("shows events, rates and open holds, and ends a hold on record", async ({
  page,
  browserOf,
  others,
}) => {
  const eventId = await others.house({ standing: 40 });
  await others.hold(eventId, ["left:1:1", "left:1:2"]);
  const watcher = await browserOf();
  await watcher.goto(`/?event=${eventId}`);
  await page.goto("/ops");
  await expect(page.getByText("Up to date")).toBeVisible();

  const row = page.getByRole("row").filter({ hasText: eventId });
  await expect(row.getByRole("cell").nth(2)).toHaveText("2");
  await expect(row).toContainText("0 of 40");
  await row.getByRole("button").click();
  const holds = page.getByRole("region", { name: "Open holds", exact: true });
  await expect(holds.getByRole("row").nth(1)).toContainText("left:1:1, left:1:2");
  await expect(holds.getByRole("row").nth(1)).toContainText(/\d+ s/);

  const service = page.getByRole("region", { name: "The service" });
  const tile = (name: string) => service.locator(".tile").filter({ hasText: name });
  await expect(tile("Calls a second")).toContainText(/[1-9]/);
  await expect(tile("Stream subscribers")).toContainText(/[1-9]/);
  await expect(tile("Stores")).toContainText("up");
  await expect(tile("Sync lag")).toContainText(/ms|s/);
  await expect(row.getByRole("img")).toHaveAccessibleName(/^2 held and 0 sold/);

  await others.hold(eventId, ["right:1:1"]);
  await expect(row.getByRole("cell").nth(2)).toHaveText("3");
  await page.screenshot({ path: "../../../target/page/ops.png" });

  await holds.getByRole("button", { name: "End the hold of somebody" }).first().click();
  await page.getByLabel("Who does it").fill("olga");
  await page.getByLabel("Why").fill("a test");
  await page.getByRole("button", { name: "End it" }).click();
  await expect(row.getByRole("cell").nth(2)).toHaveText("1");
  await expect(page.getByText(/olga ended the hold/)).toBeVisible();
});
