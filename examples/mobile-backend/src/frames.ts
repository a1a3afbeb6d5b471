// What phones are sent: Server-Sent Events. Each is encoded once for all phones.

import { SeatStatus, type Area, type Changes, type House } from "holdfast-client";

/** The whole house; all that came before is to be forgotten. */
export function snapshotFrame(house: House, token: string): Buffer {
  return frame("snapshot", token, picture(house.seats, house.areas));
}

/** What has changed. */
export function changesFrame(changes: Changes): Buffer {
  return frame("changes", changes.resumeToken, picture(changes.seats, changes.areas));
}

/** How many watch. Without an id: nothing can be resumed from here. */
export function viewersFrame(active: number): Buffer {
  return Buffer.from(`event: viewers\ndata: ${JSON.stringify({ active })}\n\n`);
}

export const HEARTBEAT_FRAME = Buffer.from(":\n\n");

/** How long to wait before coming back; not the same for all. */
export function retryFrame(retryMs: number): Buffer {
  return Buffer.from(`retry: ${Math.round(retryMs)}\n\n`);
}

/** A seat or area may be told twice; the last one stands, in JSON as in the stream. */
function picture(
  seats: Iterable<[string, SeatStatus]>,
  areas: Iterable<[string, Area]>,
): { seats: Record<string, string>; areas: Record<string, Area> } {
  const named = [...seats].map(([seatId, status]) => [seatId, SeatStatus[status]] as const);
  return { seats: Object.fromEntries(named), areas: Object.fromEntries(areas) };
}

function frame(event: string, id: string, data: unknown): Buffer {
  return Buffer.from(`event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`);
}
