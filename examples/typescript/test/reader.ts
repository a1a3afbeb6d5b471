// What a stream tells, written down.

import {
  House,
  SeatStatus,
  streamSeatUpdates,
  type Connection,
  type Reservations,
  type StreamOptions,
} from "../src/index.js";
import { eventually, so } from "./stage.js";

export type SeatList = [string, SeatStatus][];

/** Reads a stream, and writes down what was told. */
export class Reader {
  readonly house = new House();
  readonly changes: SeatList = [];
  snapshots = 0;
  viewers = 0;
  token = "";
  readonly #stop = new AbortController();
  readonly #read: Promise<void>;

  constructor(connection: Connection, eventId: string, options: StreamOptions = {}) {
    this.#read = this.#follow(connection, eventId, { ...options, signal: this.#stop.signal });
  }

  async #follow(at: Connection, eventId: string, options: StreamOptions): Promise<void> {
    for await (const told of streamSeatUpdates(at, eventId, options)) {
      this.house.apply(told);
      if (told.kind === "viewers") {
        this.viewers = told.active;
        continue;
      }
      if (told.kind === "changes") this.changes.push(...told.seats);
      else this.snapshots += 1;
      this.token = told.resumeToken;
    }
  }

  /** Rejects where the stream has failed. */
  close(): Promise<void> {
    this.#stop.abort();
    return this.#read;
  }

  begun(): Promise<true> {
    return eventually("a snapshot", () => so(this.token !== ""));
  }

  has(made: SeatList): Promise<true> {
    return eventually("the last change", () => so(this.changes.length >= made.length));
  }
}

/** Holds and gives back, one after the other; answers what a stream must tell. */
export async function toggle(
  reservations: Reservations,
  eventId: string,
  times: number,
): Promise<SeatList> {
  const told: SeatList = [];
  for (let n = 0; n < times; n += 1) {
    const seat = `s:${(n % 4) + 1}:${(n % 25) + 1}`;
    const hold = await reservations.hold({ eventId, holderId: "ann", seatIds: [seat] });
    await reservations.release(hold);
    told.push([seat, SeatStatus.HELD], [seat, SeatStatus.AVAILABLE]);
  }
  return told;
}
