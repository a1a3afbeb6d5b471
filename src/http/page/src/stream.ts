// StreamSeatUpdates as one stream without gaps, over cuts, drains and restarts.

import { Code } from "@connectrpc/connect";
import { pause, type Calls } from "./calls.ts";
import { Refusal } from "./errors.ts";
import type { StreamSeatUpdatesResponse } from "./gen/holdfast/v1/reservation_pb.ts";
import {
  SnapshotFormat,
  type AreaState,
  type PackedSeats,
  type SeatState,
} from "./gen/holdfast/v1/seat_pb.ts";
import { askForToken } from "./token.ts";

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 3_000;
// The server says something every 10 s.
const LONGEST_SILENCE_MS = 25_000;
// A definite no: opening the stream again would say the same.
const ENDS = new Set([
  Code.FailedPrecondition,
  Code.InvalidArgument,
  Code.NotFound,
  Code.PermissionDenied,
  Code.Unimplemented,
]);

export type Told =
  /** The whole house; all that was told before is to be forgotten. */
  | { kind: "snapshot"; packed: PackedSeats; areas: AreaState[] }
  /** What has changed, in the order in which it did; the last of a seat stands. */
  | { kind: "changes"; seats: SeatState[]; areas: AreaState[] }
  /** How many watch. */
  | { kind: "viewers"; active: number }
  /** The stream has begun; `resumed` where it goes on from a token. */
  | { kind: "opened"; resumed: boolean }
  /** The connection is gone; it is tried again. */
  | { kind: "cut" };

/**
 * Everything that happens to an event's seats, until the signal is given. It opens the
 * stream again from the last token that was told. Throws Refusal after a definite no.
 */
export async function* seatUpdates(
  calls: Calls,
  eventId: string,
  viewerId: string,
  signal: AbortSignal,
): AsyncGenerator<Told, void, undefined> {
  const place = { resumeToken: "" };
  let pauseMs = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      for await (const told of once(calls, eventId, viewerId, place, signal)) {
        pauseMs = FIRST_PAUSE_MS;
        yield told;
      }
    } catch (failure) {
      const refusal = Refusal.of(failure);
      if (signal.aborted) return;
      if (ENDS.has(refusal.code)) throw refusal;
      // A stream ends with the token that opened it.
      if (refusal.code === Code.Unauthenticated) await askForToken("This token has run out.");
    }
    yield { kind: "cut" };
    // Not all at once: whoever was cut off together would come back together.
    await pause(pauseMs * (0.5 + Math.random()), signal);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** One stream, from the place where the last one ended. */
async function* once(
  calls: Calls,
  eventId: string,
  viewerId: string,
  place: { resumeToken: string },
  signal: AbortSignal,
): AsyncGenerator<Told, void, undefined> {
  const { resumeToken } = place;
  const request = { eventId, resumeToken, viewerId, snapshotFormat: SnapshotFormat.PACKED };
  const silence = new Silence(signal);
  // What came in parts counts when its last part has come, with a token.
  let changes: Told & { kind: "changes" } = { kind: "changes", seats: [], areas: [] };
  let begun = false;
  try {
    const messages = calls.reservation.streamSeatUpdates(request, { signal: silence.signal });
    for await (const { message, resumeToken: token } of messages) {
      silence.end();
      if (!begun) yield { kind: "opened", resumed: resumeToken !== "" };
      begun = true;
      if (token) place.resumeToken = token;
      const told = read(message, changes);
      if (told) yield told;
      if (!token || changes.seats.length + changes.areas.length === 0) continue;
      yield changes;
      changes = { kind: "changes", seats: [], areas: [] };
    }
  } finally {
    silence.close();
  }
}

function read(
  message: StreamSeatUpdatesResponse["message"],
  changes: Told & { kind: "changes" },
): Told | undefined {
  switch (message.case) {
    case "heartbeat":
      return { kind: "viewers", active: message.value.activeViewers };
    case "snapshot": {
      const { packedSeats, areas } = message.value;
      return packedSeats && { kind: "snapshot", packed: packedSeats, areas };
    }
    case "updates":
      changes.seats.push(...message.value.seats);
      changes.areas.push(...message.value.areas);
  }
  return undefined;
}

/** Aborts when nothing is heard for too long, the network is gone, or its parent says so. */
class Silence {
  readonly #abort = new AbortController();
  readonly #cut = (): void => this.#abort.abort();
  #timer = setTimeout(this.#cut, LONGEST_SILENCE_MS);

  constructor(readonly parent: AbortSignal) {
    parent.addEventListener("abort", this.#cut);
    addEventListener("offline", this.#cut);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Something was heard. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#cut, LONGEST_SILENCE_MS);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.parent.removeEventListener("abort", this.#cut);
    removeEventListener("offline", this.#cut);
    // Where whoever reads has left early, the stream is open still.
    this.#cut();
  }
}
