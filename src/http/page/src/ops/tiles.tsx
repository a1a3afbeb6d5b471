// The service in a few numbers, those that change with their last minutes.

import { largest, sum } from "./metrics.ts";
import { Spark } from "./spark.tsx";
import * as store from "./store.ts";

// Beyond this the log is read too slowly to be calm about, seconds.
const LATE_SECONDS = 5;

export function Tiles() {
  const metrics = store.metrics.value;
  const lag = largest(metrics, "holdfast_unjournaled_age_seconds");
  const differences = sum(metrics, "holdfast_reconcile_differences_total") ?? 0;
  return (
    <section class="tiles" aria-label="The service">
      <RateTile name="Calls" of="calls" />
      <RateTile name="Refusals" of="refusals" />
      <RateTile name="Holds made" of="made" />
      <RateTile name="Confirmed" of="confirmed" />
      <RateTile name="Released" of="released" />
      <RateTile name="Expired" of="expired" />
      <Tile name="Open holds" value={whole(largest(metrics, "holdfast_holds_open"))} />
      <Tile
        name="Stream subscribers"
        value={whole(sum(metrics, "holdfast_stream_subscribers"))}
      />
      <Tile name="Sync lag" value={seconds(lag)} bad={(lag ?? 0) > LATE_SECONDS} />
      <Tile
        name="Outbox"
        value={whole(outboxOf())}
        more={`${whole(sum(metrics, "holdfast_dead_letters"))} given up`}
        bad={(sum(metrics, "holdfast_dead_letters") ?? 0) > 0}
      />
      <Stores />
      <Tile
        name="Last audit"
        value={since(largest(metrics, "holdfast_reconcile_last_time_seconds"))}
        more={differences === 0 ? "no differences" : `${differences} differences`}
        bad={differences > 0}
      />
    </section>
  );
}

interface Shown {
  name: string;
  value: string;
  more?: string;
  bad?: boolean;
}

function Tile({ name, value, more, bad = false }: Shown) {
  return (
    <div class={bad ? "tile bad" : "tile"}>
      <span>{name}</span>
      <b>{value}</b>
      {more && <small>{more}</small>}
    </div>
  );
}

function RateTile({ name, of }: { name: string; of: string }) {
  const series = store.rates.value.get(of);
  return (
    <div class="tile">
      <span>{name} a second</span>
      <b>{series?.last === undefined ? "–" : rounded(series.last)}</b>
      <Spark
        label={`${name} a second in the last minutes`}
        lines={[{ values: series?.values ?? [], of: "one" }]}
      />
    </div>
  );
}

function Stores() {
  const stores = store.metrics.value.get("holdfast_store_up") ?? [];
  const down = stores.filter(({ value }) => value !== 1);
  return (
    <Tile
      name="Stores"
      value={stores.length === 0 ? "–" : down.length === 0 ? "up" : "down"}
      more={(down.length ? down : stores).map(({ labels }) => labels["store"]).join(", ")}
      bad={down.length > 0}
    />
  );
}

/** What is still to be done for sales that are made: events to number, mails and calls. */
function outboxOf(): number | undefined {
  const metrics = store.metrics.value;
  const unpublished = sum(metrics, "holdfast_order_events_unpublished");
  const due = sum(metrics, "holdfast_deliveries_due");
  return unpublished === undefined && due === undefined
    ? undefined
    : (unpublished ?? 0) + (due ?? 0);
}

function whole(value: number | undefined): string {
  return value === undefined ? "–" : value.toLocaleString();
}

function rounded(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString() : value.toFixed(1);
}

function seconds(value: number | undefined): string {
  if (value === undefined) return "–";
  return value < 1 ? `${Math.round(value * 1_000)} ms` : `${value.toFixed(1)} s`;
}

/** How long ago a time was, told in seconds since 1970. */
function since(time: number | undefined): string {
  if (!time) return "not yet";
  void store.looked.value;
  return `${ago(store.now() / 1_000 - time)} ago`;
}

export function ago(seconds: number): string {
  const whole = Math.max(Math.round(seconds), 0);
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
}
