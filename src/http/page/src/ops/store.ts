// What the operator's page knows, asked for anew every two seconds.

import { signal } from "@preact/signals";
import { TIMEOUT_MS, type Calls } from "../calls.ts";
import { Refusal } from "../errors.ts";
import type { Event } from "../gen/holdfast/v1/event_pb.ts";
import type { OperatorAction } from "../gen/holdfast/v1/operator_pb.ts";
import type { Hold } from "../gen/holdfast/v1/reservation_pb.ts";
import { SnapshotFormat } from "../gen/holdfast/v1/seat_pb.ts";
import { asking, token } from "../token.ts";
import { parse, rate, sum, type Metrics } from "./metrics.ts";
import { Series } from "./series.ts";

export const LOOK_MS = 2_000;
const CLOCKS_DIFFER_MS = 3_000;
// A house is asked for every time: not of more events than are looked at.
const MOST_EVENTS = 20;
const MOST_HOLDS = 200;
const ONCE = { timeoutMs: TIMEOUT_MS };

/** An event, how its house is, and how it was. */
export interface Row {
  readonly event: Event;
  free: number;
  held: number;
  sold: number;
  /** Units of its areas that are taken, and that there are. */
  standing: { taken: number; capacity: number };
  readonly heldSeries: Series;
  readonly soldSeries: Series;
}

export const rows = signal<readonly Row[]>([]);
export const metrics = signal<Metrics>(new Map());
export const rates = signal<ReadonlyMap<string, Series>>(new Map());
export const chosen = signal("");
export const holds = signal<readonly Hold[]>([]);
/** Whether there are more than these. */
export const moreHolds = signal(false);
export const actions = signal<readonly OperatorAction[]>([]);
/** What could not be asked for the last time, by what it is. */
export const troubles = signal<ReadonlyMap<string, string>>(new Map());
export const looked = signal(0);

/** Counters whose rate is shown. */
const COUNTERS: Record<string, (metrics: Metrics) => number | undefined> = {
  calls: (m) => sum(m, "rpc_server_call_duration_seconds_count"),
  refusals: (m) =>
    sum(
      m,
      "rpc_server_call_duration_seconds_count",
      (labels) => !["OK", "0", ""].includes(labels["rpc_response_status_code"] ?? ""),
    ),
  made: (m) => sum(m, "holdfast_holds_made_total"),
  confirmed: (m) => ended(m, "confirmed"),
  released: (m) => ended(m, "released"),
  expired: (m) => ended(m, "expired"),
};

function ended(metrics: Metrics, outcome: string): number | undefined {
  return sum(metrics, "holdfast_holds_ended_total", (labels) => labels["outcome"] === outcome);
}

let aheadMs = 0;

/** The server's time, ms of the epoch: this machine's clock may be wrong. */
export function now(): number {
  return Date.now() + aheadMs;
}

let before: { at: number; counts: Map<string, number> } | undefined;

/** Looks at everything once; what fails is told and does not keep the rest from being seen. */
export async function lookAround(calls: Calls): Promise<void> {
  // Nothing more is asked while somebody types a token.
  if (asking.value !== null) return;
  const failed = new Map<string, string>();
  const part = async (what: string, look: () => Promise<void>): Promise<void> => {
    try {
      await look();
    } catch (failure) {
      failed.set(what, Refusal.of(failure).told);
    }
  };
  await Promise.all([
    part("Metrics", readMetrics),
    part("Events", () => readEvents(calls)),
    part("Open holds", () => readHolds(calls)),
    part("Actions", () => readActions(calls)),
  ]);
  troubles.value = failed;
  looked.value = Date.now();
}

async function readMetrics(): Promise<void> {
  const headers: Record<string, string> = token() ? { authorization: `Bearer ${token()}` } : {};
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const answer = await fetch("/metrics", { headers, signal, cache: "no-store" });
  if (!answer.ok) throw new Error(`/metrics answers ${answer.status}`);
  const ahead = Date.parse(answer.headers.get("date") ?? "") - Date.now();
  // Told in whole seconds: less than some of them is no difference.
  aheadMs = Math.abs(ahead) > CLOCKS_DIFFER_MS ? ahead : 0;
  const now = parse(await answer.text());
  const at = performance.now();
  const counts = new Map<string, number>();
  for (const [name, count] of Object.entries(COUNTERS)) counts.set(name, count(now) ?? 0);
  if (before) {
    const seconds = (at - before.at) / 1_000;
    const all = new Map(rates.value);
    for (const [name, count] of counts) {
      const series = all.get(name) ?? new Series();
      series.add(rate(before.counts.get(name) ?? 0, count, seconds));
      all.set(name, series);
    }
    rates.value = all;
  }
  before = { at, counts };
  metrics.value = now;
}

async function readEvents(calls: Calls): Promise<void> {
  const { events } = await calls.catalog.listEvents({ pageSize: MOST_EVENTS }, ONCE);
  const known = new Map(rows.value.map((row) => [row.event.eventId, row]));
  const all = events.map((event) => ({ ...(known.get(event.eventId) ?? noRow(event)), event }));
  await Promise.all(all.map((row) => readHouse(calls, row)));
  rows.value = all;
  chosen.value ||= all[0]?.event.eventId ?? "";
}

async function readHouse(calls: Calls, row: Row): Promise<void> {
  const { eventId } = row.event;
  const snapshotFormat = SnapshotFormat.PACKED;
  const answer = await calls.reservation.getSeatMap({ eventId, snapshotFormat }, ONCE);
  const counts = [0, 0, 0, 0];
  const { statuses, seatCount } = answer.packedSeats ?? { statuses: [], seatCount: 0 };
  for (let n = 0; n < seatCount; n++) {
    const status = ((statuses[n >> 2] ?? 0) >> (2 * (n & 3))) & 3;
    counts[status] = (counts[status] ?? 0) + 1;
  }
  [row.free = 0, row.held = 0, row.sold = 0] = counts;
  const capacity = answer.areas.reduce((all, area) => all + area.capacity, 0);
  const available = answer.areas.reduce((all, area) => all + area.available, 0);
  row.standing = { taken: capacity - available, capacity };
  row.heldSeries.add(row.held);
  row.soldSeries.add(row.sold);
}

async function readHolds(calls: Calls): Promise<void> {
  const eventId = chosen.value;
  if (!eventId) return;
  const answer = await calls.operator.listOpenHolds({ eventId, pageSize: MOST_HOLDS }, ONCE);
  if (eventId !== chosen.value) return;
  holds.value = answer.holds.flatMap(({ hold }) => hold ?? []);
  moreHolds.value = answer.nextPageToken !== "";
}

async function readActions(calls: Calls): Promise<void> {
  const eventId = chosen.value;
  if (!eventId) return;
  const answer = await calls.operator.listOperatorActions({ eventId, pageSize: 10 }, ONCE);
  if (eventId === chosen.value) actions.value = answer.actions;
}

function noRow(event: Event): Row {
  const standing = { taken: 0, capacity: 0 };
  const series = { heldSeries: new Series(), soldSeries: new Series() };
  return { event, free: 0, held: 0, sold: 0, standing, ...series };
}
