// The server's time: holds end by it, whatever the clock of this machine says.

import { tab } from "../settings.ts";

let ahead = Number(tab.get("ahead") ?? 0);

/** The server's time as near as we know it, ms of the epoch. */
export function now(): number {
  return Date.now() + ahead;
}

/**
 * Learns from an answer that says what time it was between `sent` and `received` of our
 * clock. Where our clock can be right, it is.
 */
export function correct(server: number, sent: number, received: number): void {
  ahead = Math.min(server - sent, 0) + Math.max(server - received, 0);
  tab.set("ahead", String(ahead));
}
