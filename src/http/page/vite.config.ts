import { defineConfig } from "vite";

// While the page is being written: `HOLDFAST_HTTP=http://127.0.0.1:8080 npm run dev`.
const holdfast = process.env["HOLDFAST_HTTP"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "/",
  server: {
    host: "127.0.0.1",
    proxy: { "/page.json": holdfast, "/demo": holdfast, "/metrics": holdfast },
  },
  build: {
    outDir: "dist",
    assetsDir: "assets",
    // The server's Content-Security-Policy lets in no data: URLs but images.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: ["index.html", "ops.html"] },
  },
});
