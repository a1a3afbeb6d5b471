// StreamSeatUpdates as a stream without gaps, over cuts, drains and restarts.

import { setTimeout as sleep } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import type { Connection } from "./connection.js";
import { HoldfastError } from "./errors.js";
import { CatalogService } from "./gen/holdfast/v1/catalog_pb.js";
import {
  ReservationService,
  type StreamSeatUpdatesResponse,
} from "./gen/holdfast/v1/reservation_pb.js";
import {
  SeatStatus,
  SnapshotFormat,
  type AreaState,
  type PackedSeats,
} from "./gen/holdfast/v1/seat_pb.js";
import { DEFAULT_PATIENCE_MS } from "./reservations.js";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;
// The server says something every 10 s.
const LONGEST_SILENCE_MS = 30_000;
// A definite no: opening the stream again would say the same.
const ENDS = new Set([
  grpc.status.FAILED_PRECONDITION,
  grpc.status.INVALID_ARGUMENT,
  grpc.status.NOT_FOUND,
  grpc.status.PERMISSION_DENIED,
  grpc.status.UNAUTHENTICATED,
  grpc.status.UNIMPLEMENTED,
]);

/** What is left of an area, and how many units it has in all. */
export interface Area {
  readonly available: number;
  readonly capacity: number;
}

/** The whole house; all that was told before is to be forgotten. */
export interface Snapshot {
  readonly kind: "snapshot";
  readonly seats: Map<string, SeatStatus>;
  readonly areas: Map<string, Area>;
  readonly resumeToken: string;
}

/** What has changed, in the order in which it did; the last of a seat stands. */
export interface Changes {
  readonly kind: "changes";
  readonly seats: [string, SeatStatus][];
  readonly areas: [string, Area][];
  readonly resumeToken: string;
}

/** How many watch the event. */
export interface Viewers {
  readonly kind: "viewers";
  readonly active: number;
}

export type Told = Snapshot | Changes | Viewers;

/** What a stream has told, put together. */
export class House {
  seats = new Map<string, SeatStatus>();
  areas = new Map<string, Area>();

  /** Takes one more thing that was told. */
  apply(told: Told): void {
    if (told.kind === "viewers") return;
    if (told.kind === "snapshot") {
      this.seats = new Map();
      this.areas = new Map();
    }
    for (const [seatId, status] of told.seats) this.seats.set(seatId, status);
    for (const [areaId, area] of told.areas) this.areas.set(areaId, area);
  }
}

export interface StreamOptions {
  /** Where to go on; without it a snapshot comes first. */
  readonly resumeToken?: string;
  /** Who watches: counts as present while the stream is open. */
  readonly viewerId?: string;
  /** Two bits a seat in snapshots, and the chart once for their names. */
  readonly packed?: boolean;
  /** How long nothing may be heard before it gives up. */
  readonly patienceMs?: number;
  /** Ends the stream. */
  readonly signal?: AbortSignal;
}

/**
 * Everything that happens to an event's seats. It opens the stream again at whichever
 * server answers, from the last token that was told; what it yields has no gap and no
 * repetition. It throws HoldfastError after a definite no, or where nothing was heard for
 * `patienceMs`, and ends when the signal says so.
 *
 * Read it all the time: what takes long is not to be awaited between two steps.
 */
export async function* streamSeatUpdates(
  connection: Connection,
  eventId: string,
  options: StreamOptions = {},
): AsyncGenerator<Told, void, undefined> {
  const signal = options.signal ?? new AbortController().signal;
  const reader = new Reader(connection, eventId, options, signal);
  const patienceMs = options.patienceMs ?? DEFAULT_PATIENCE_MS;
  let heard = Date.now();
  let pauseMs = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      for await (const told of reader.read()) {
        heard = Date.now();
        pauseMs = FIRST_PAUSE_MS;
        yield told;
      }
    } catch (failure) {
      const error = HoldfastError.of(failure);
      if (signal.aborted) return;
      // A stream ends with the token that opened it; there may be a new one.
      const isOutdated = error.code === grpc.status.UNAUTHENTICATED && reader.hasBegun;
      const isOver = ENDS.has(error.code) && !isOutdated;
      if (isOver || Date.now() - heard > patienceMs) throw error;
    }
    // It rejects when the signal is given: then the loop ends.
    await sleep(pauseMs * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** One stream after the other, each from where the last one ended. */
class Reader {
  /** Whether the latest stream has told anything. */
  hasBegun = false;
  #resumeToken: string;
  readonly #chart: Chart;

  constructor(
    readonly connection: Connection,
    readonly eventId: string,
    readonly options: StreamOptions,
    readonly signal: AbortSignal,
  ) {
    this.#resumeToken = options.resumeToken ?? "";
    this.#chart = new Chart(connection, eventId);
  }

  async *read(): AsyncGenerator<Told, void, undefined> {
    const call = this.connection.stream(ReservationService.method.streamSeatUpdates, {
      eventId: this.eventId,
      resumeToken: this.#resumeToken,
      viewerId: this.options.viewerId ?? "",
      snapshotFormat: this.options.packed ? SnapshotFormat.PACKED : SnapshotFormat.NAMED,
    });
    const cancel = (): void => call.cancel();
    this.signal.addEventListener("abort", cancel);
    let silence = setTimeout(cancel, LONGEST_SILENCE_MS);
    this.hasBegun = false;
    // What came in parts counts when its last part has come, with a token.
    let part: Snapshot | Changes | undefined;
    try {
      for await (const message of call as AsyncIterable<StreamSeatUpdatesResponse>) {
        clearTimeout(silence);
        silence = setTimeout(cancel, LONGEST_SILENCE_MS);
        this.hasBegun = true;
        const { case: kind, value } = message.message;
        if (kind === "heartbeat") {
          yield { kind: "viewers", active: value.activeViewers };
          continue;
        }
        if (kind === "snapshot") {
          if (part?.kind !== "snapshot") part = noHouse();
          if (value.packedSeats && !(await this.#chart.read(value.packedSeats, part.seats))) {
            this.#resumeToken = "";
            return;
          }
          for (const { seatId, status } of value.seats) part.seats.set(seatId, status);
          for (const [areaId, area] of areas(value.areas)) part.areas.set(areaId, area);
        } else if (kind === "updates") {
          if (part?.kind !== "changes") part = noChanges();
          for (const { seatId, status } of value.seats) part.seats.push([seatId, status]);
          part.areas.push(...areas(value.areas));
        }
        if (!message.resumeToken) continue;
        this.#resumeToken = message.resumeToken;
        if (part) yield { ...part, resumeToken: message.resumeToken };
        part = undefined;
      }
    } finally {
      clearTimeout(silence);
      this.signal.removeEventListener("abort", cancel);
      call.on("error", () => undefined);
      call.cancel();
    }
  }
}

/** The seats' names in the order of packed snapshots. */
class Chart {
  #version = -1n;
  #names: string[] = [];

  constructor(
    readonly connection: Connection,
    readonly eventId: string,
  ) {}

  /** False where the chart has grown since the snapshot: ask for another. */
  async read(packed: PackedSeats, seats: Map<string, SeatStatus>): Promise<boolean> {
    if (this.#version !== packed.chartVersion) {
      const method = CatalogService.method.getEvent;
      const answer = await this.connection.unary(method, { eventId: this.eventId });
      this.#version = answer.chartVersion;
      this.#names = (answer.chart?.sections ?? []).flatMap((section) =>
        section.rows.flatMap((row) => row.seats.map((seat) => seat.seatId)),
      );
    }
    if (this.#version !== packed.chartVersion) return false;
    this.#names.forEach((name, n) => {
      const bits = ((packed.statuses[n >> 2] ?? 0) >> (2 * (n & 3))) & 3;
      // One less than in SeatStatus.
      seats.set(name, (bits + 1) as SeatStatus);
    });
    return true;
  }
}

function noHouse(): Snapshot {
  return { kind: "snapshot", seats: new Map(), areas: new Map(), resumeToken: "" };
}

function noChanges(): Changes {
  return { kind: "changes", seats: [], areas: [], resumeToken: "" };
}

function areas(told: AreaState[]): [string, Area][] {
  return told.map(({ areaId, available, capacity }) => [areaId, { available, capacity }]);
}
