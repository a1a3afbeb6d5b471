// Seat updates for phones:
//
//     HOLDFAST_SSE_PORT=3000 npm start -w mobile-backend
//
// Where Holdfast is, and who calls it, is said as for any client: docs/CLIENTS.md.

import { Connection, settingsFromEnvironment } from "holdfast-client";
import { Backend } from "./backend.js";

const host = process.env["HOLDFAST_SSE_HOST"] || "127.0.0.1";
const port = Number(process.env["HOLDFAST_SSE_PORT"] || 3000);

const connection = new Connection(settingsFromEnvironment());
const backend = new Backend(connection);
backend.server.listen(port, host, () => {
  const address = backend.server.address();
  const taken = typeof address === "object" && address ? address.port : port;
  console.log(`listening on http://${host}:${taken}/events/EVENT/seats`);
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    backend.stop().then(() => connection.close(), console.error);
  });
}
