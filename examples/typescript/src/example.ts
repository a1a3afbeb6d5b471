// Watches an event, holds the two best seats, and buys them:
//
//     npm ci && npm run build -w typescript && npm run example -w typescript [-- EVENT]
//
// Settings are those of `Settings`, by environment.

import { randomUUID } from "node:crypto";
import {
  Connection,
  HoldfastError,
  Reservations,
  SeatStatus,
  settingsFromEnvironment,
  streamSeatUpdates,
} from "./index.js";

const eventId = process.argv[2] ?? "demo";
const connection = new Connection(settingsFromEnvironment());
const reservations = new Reservations(connection);
const stop = new AbortController();
setTimeout(() => stop.abort(), 10_000).unref();

try {
  for await (const told of streamSeatUpdates(connection, eventId, { signal: stop.signal })) {
    if (told.kind === "snapshot") {
      console.log(`the house has ${told.seats.size} seats`);
      // Not awaited: the stream is read all the time.
      buy().catch((error: unknown) => {
        const told = HoldfastError.of(error);
        console.error(`refused: ${told.reason} ${told.message}`);
        process.exitCode = 1;
        stop.abort();
      });
    } else if (told.kind === "changes") {
      const changed = told.seats.map(([seat, status]) => `${seat} ${SeatStatus[status]}`);
      console.log(`changed: ${changed.join(", ")}`);
      if (told.seats.some(([, status]) => status === SeatStatus.SOLD)) break;
    }
  }
} finally {
  connection.close();
}

async function buy(): Promise<void> {
  const bestAvailable = { quantity: 2 };
  const hold = await reservations.hold({ eventId, holderId: "ann", bestAvailable });
  console.log(`held: ${hold.seatIds.join(", ")}`);
  const order = await reservations.confirm(hold, `example-${randomUUID()}`);
  console.log(`bought: ${order.orderId}, ${order.total?.units} ${order.total?.currencyCode}`);
}
