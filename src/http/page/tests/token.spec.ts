// A server that tells callers apart: the page asks for a token, and says what is not allowed.

import { createHmac, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { click, expect, look, lookOf, test } from "./support/fixtures.ts";
import { startBeside } from "./support/server.ts";

const key = randomBytes(32);

function token(sub: string, roles: string[]): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1_000) + 600;
  const signed = `${part({ alg: "HS256" })}.${part({ sub, aud: "holdfast", exp, roles })}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}

test("asks for a token, and holds for whom it is bound to", async ({
  browserOf,
  others,
  server,
}) => {
  const eventId = await others.house();
  const directory = mkdtempSync(join(tmpdir(), "holdfast-keys-"));
  const keys = join(directory, "keys.json");
  writeFileSync(keys, JSON.stringify({ keys: [{ kty: "oct", k: key.toString("base64url") }] }));
  const guarded = await startBeside(server, {
    HOLDFAST_JWT_KEYS: keys,
    HOLDFAST_JWT_ALGORITHMS: "HS256",
    HOLDFAST_JWT_AUDIENCE: "holdfast",
  });
  try {
    const page = await browserOf({ baseURL: guarded.http });
    await page.goto(`/?event=${eventId}`);
    const dialog = page.getByRole("dialog");
    await expect(dialog).toBeVisible();
    // Every call waits for it.
    for (const _ of [1, 2]) await page.keyboard.press("Escape");
    await expect(dialog).toBeVisible();
    await dialog.getByLabel("Token").fill("nonsense");
    await dialog.getByRole("button", { name: "Go on" }).click();
    await expect(dialog.getByText("This token was not taken.")).toBeVisible();
    await dialog.getByLabel("Token").fill(token("vera", ["viewer"]));
    await dialog.getByRole("button", { name: "Go on" }).click();
    await look(page, eventId);
    await click(page, "left:1:1");
    await page.getByRole("button", { name: "Hold 1 place" }).click();
    const alert = page.getByRole("alert");
    await expect(alert).toContainText("Your token does not allow this: it takes the role reserver");
    await expect(alert).toContainText("ROLE_REQUIRED");

    const bound = token("rosa", ["reserver:self"]);
    await page.evaluate((given) => sessionStorage.setItem("holdfast.token", given), bound);
    await look(page, eventId);
    await click(page, "left:1:1");
    await page.getByRole("button", { name: "Hold 1 place" }).click();
    await expect.poll(() => lookOf(page, "left:1:1")).toBe("mine");
    await page.goto("/ops");
    await expect(page.getByRole("alert")).toContainText("it takes the role operator");
  } finally {
    await guarded.stop();
    rmSync(directory, { recursive: true });
  }
});
