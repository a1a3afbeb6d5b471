// Shows an event: its house, and what happens in it, for as long as it is looked at.

import { Code } from "@connectrpc/connect";
import { batch } from "@preact/signals";
import { pause, repeat } from "../calls.ts";
import { Refusal } from "../errors.ts";
import { houseOf, type House } from "../map/house.ts";
import { Look, State } from "../map/state.ts";
import { rememberEvent } from "../settings.ts";
import { seatUpdates, type Told } from "../stream.ts";
import { viewerId } from "../token.ts";
import { dropTaken, forgetChoice, put } from "./choice.ts";
import { forgetHold, lookAgain, refresh, showMine } from "./hold.ts";
import { showBought } from "./order.ts";
import * as store from "./store.ts";

const PULSE_MS = 250;
let watching = new AbortController();

/** Another event, or the same one again with a chart that has grown. */
export async function open(eventId: string): Promise<void> {
  watching.abort();
  const mine = (watching = new AbortController());
  store.connection.value = "opening";
  forgetChoice();
  forgetHold();
  // Nothing that comes late is taken for what is of this event.
  store.state.value = undefined;
  store.eventId.value = eventId;
  store.viewers.value = 0;
  rememberEvent(eventId);
  try {
    await follow(eventId, undefined, mine.signal);
  } catch (failure) {
    if (mine.signal.aborted) return;
    store.connection.value = "over";
    store.tell(Refusal.of(failure).told, "error");
  }
}

/** Reads the chart and follows the stream; begins anew when the chart has grown. */
async function follow(
  eventId: string,
  before: House | undefined,
  signal: AbortSignal,
): Promise<void> {
  const request = { eventId };
  const answer = await repeat((o) => store.calls().catalog.getEvent(request, o), Infinity);
  if (signal.aborted) return;
  const state = new State(houseOf(answer));
  store.state.value = state;
  if (before) {
    // The chart has grown: the same seats have other numbers.
    const ids = store.chosen.value.flatMap((n) => before.seats[n]?.id ?? []);
    put(state.numbersOf(ids));
    showMine();
    showBought();
  }
  for await (const told of seatUpdates(store.calls(), eventId, viewerId(), signal)) {
    if (take(state, told)) continue;
    // Whoever is told of the growth may be faster than the chart.
    await pause(100, signal);
    return follow(eventId, state.house, signal);
  }
}

/** False where the chart is not the one that we have. */
function take(state: State, told: Told): boolean {
  switch (told.kind) {
    case "opened":
      store.connection.value = "live";
      if (told.resumed) store.counted.resumes += 1;
      void lookAgain(state.house.event.eventId);
      return true;
    case "cut":
      store.connection.value = "cut";
      return true;
    case "viewers":
      store.viewers.value = told.active;
      return true;
    case "snapshot": {
      store.counted.snapshots += 1;
      const isOurs = state.takeSnapshot(told.packed, told.areas);
      if (isOurs) changed(state, [...state.statuses.keys()]);
      return isOurs;
    }
    case "changes": {
      const seats = state.takeChanges(told.seats, told.areas);
      if (seats) changed(state, seats);
      return seats !== undefined;
    }
  }
}

function changed(state: State, seats: readonly number[]): void {
  batch(() => {
    dropTaken(seats.filter((n) => !state.isFree(n)));
    // What is ours is held; where it is not, our hold may have ended.
    if (seats.some((n) => state.mine.has(n) && state.statuses[n] !== Look.held)) void refresh();
    pulseSoon();
  });
}

let pulsing = 0;
let pulsed = 0;

/** Numbers and lists follow a few times a second; the map follows at once. */
function pulseSoon(): void {
  const waitMs = Math.max(pulsed + PULSE_MS - performance.now(), 0);
  pulsing ||= window.setTimeout(() => {
    pulsing = 0;
    pulsed = performance.now();
    store.pulse.value += 1;
  }, waitMs);
}

/** All events there are to choose from; a role that may not list them sees what it asked for. */
export async function listEvents(): Promise<void> {
  try {
    const request = { pageSize: 200 };
    const answer = await repeat((o) => store.calls().catalog.listEvents(request, o), Infinity);
    store.events.value = answer.events;
  } catch (failure) {
    if (Refusal.of(failure).code !== Code.PermissionDenied) throw failure;
  }
}
