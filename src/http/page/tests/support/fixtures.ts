// What every test has: a server, somebody else who calls it, and a page to look at.

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  expect,
  test as base,
  type BrowserContext,
  type BrowserContextOptions,
  type Locator,
  type Page,
} from "@playwright/test";
import { Others } from "./houses.ts";
import { startServer, type Server } from "./server.ts";

interface Own {
  others: Others;
  /** Another browser, which shares nothing with the test's own. */
  browserOf: (options?: BrowserContextOptions) => Promise<Page>;
}

interface Shared {
  server: Server;
}

export const test = base.extend<Own, Shared>({
  server: [
    async ({}, use) => {
      const server = await startServer();
      await use(server);
      await server.stop();
    },
    { scope: "worker", timeout: 60_000 },
  ],
  others: async ({ server }, use) => use(new Others(server.grpc)),
  context: async ({ context }, use) => {
    if (process.env["PAGE"] === "dist") await fresh(context);
    await use(context);
  },
  browserOf: async ({ browser }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async (options = {}) => {
      const context = await browser.newContext(options);
      contexts.push(context);
      if (process.env["PAGE"] === "dist") await fresh(context);
      return context.newPage();
    });
    await Promise.all(contexts.map((context) => context.close()));
  },
  baseURL: async ({ server }, use) => use(server.http),
});

export { expect };

const DIST = resolve(import.meta.dirname, "../../dist");

/**
 * With PAGE=dist the page comes as it was built last, while the server stays as it is: for
 * whoever is writing the page, and would wait for a compiler.
 */
async function fresh(context: BrowserContext): Promise<void> {
  const files = { "/": "index.html", "/ops": "ops.html" };
  await context.route(/\/(ops)?(\?[^/]*)?$|\/assets\//, async (route) => {
    const { pathname } = new URL(route.request().url());
    const file = files[pathname as keyof typeof files];
    if (!file) return route.fulfill({ path: join(DIST, pathname) });
    // The headers are the server's own.
    const response = await route.fetch();
    return route.fulfill({ response, body: readFileSync(join(DIST, file)) });
  });
}

/** Opens an event and waits until it is live. */
export async function look(page: Page, eventId: string, more = ""): Promise<void> {
  await page.goto(`/?event=${eventId}${more}`);
  await expect(page.getByText("Live", { exact: true })).toBeVisible();
  await expect.poll(() => snapshots(page)).toBeGreaterThan(0);
}

export const map = (page: Page): Locator => page.getByRole("listbox", { name: /^Seats/ });

/** Clicks a seat on the map, where the page itself says that it is. */
export async function click(page: Page, seatId: string): Promise<void> {
  const at = await placeOf(page, seatId);
  await map(page).click({ position: at });
}

export function placeOf(page: Page, seatId: string): Promise<{ x: number; y: number }> {
  return page.evaluate((id) => window.__holdfast.placeOf(id), seatId);
}

/** How a seat looks on the map: "free", "held", "sold", "blocked", "chosen", "mine", "bought". */
export function lookOf(page: Page, seatId: string): Promise<string> {
  return page.evaluate((id) => window.__holdfast.lookOf(id), seatId);
}

/** What is painted in the left half of a seat, where the looks differ. */
export function colourOf(page: Page, seatId: string): Promise<string> {
  return page.evaluate((id) => window.__holdfast.colourOf(id), seatId);
}

export function snapshots(page: Page): Promise<number> {
  return page.evaluate(() => window.__holdfast.counted.snapshots);
}

export function resumes(page: Page): Promise<number> {
  return page.evaluate(() => window.__holdfast.counted.resumes);
}
