import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  outputDir: "../../../target/page/results",
  timeout: 60_000,
  expect: { timeout: 8_000 },
  fullyParallel: true,
  // Each has a server of its own; frame times want some of the machine for themselves.
  workers: 2,
  reporter: [["list"]],
  use: {
    viewport: { width: 1280, height: 800 },
    locale: "en-GB",
    trace: "retain-on-failure",
    launchOptions: {
      // Debian's; none is ever downloaded.
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        // As another machine would be called by: no secure origin.
        "--host-resolver-rules=MAP holdfast.test 127.0.0.1",
        // A page that was not loaded from this machine may not call it; see support/fixtures.ts.
        ...(process.env["PAGE"] === "dist" ? ["--disable-features=LocalNetworkAccessChecks"] : []),
      ],
    },
  },
});
