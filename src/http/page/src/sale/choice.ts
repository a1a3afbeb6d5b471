// The choice: seats that were clicked, and units of areas, before they are held.

import type { State } from "../map/state.ts";
import * as store from "./store.ts";

const MOST_UNITS = 50;

let flash: (seats: readonly number[]) => void = () => undefined;
// Seats that a call of ours is taking: that they are held then is no news.
let taking: ReadonlySet<number> = new Set();

/** How seats are made to flash. */
export function onFlash(how: (seats: readonly number[]) => void): void {
  flash = how;
}

/** Chooses a seat, or lets it go. */
export function toggle(n: number): void {
  const state = store.state.value;
  const seat = state?.house.seats[n];
  if (!state || !seat || store.order.value || store.busy.value) return;
  if (state.chosen.has(n)) {
    put(store.chosen.value.filter((other) => other !== n));
    store.tell(`${store.placeOf(seat)}: not chosen`, "quiet");
  } else if (state.mine.has(n)) {
    store.tell(`${store.placeOf(seat)} is held by you`);
  } else if (!state.isFree(n)) {
    flash([n]);
    store.tell(`${store.placeOf(seat)} is not available`, "error");
  } else {
    put([...store.chosen.value, n]);
    const { length } = store.chosen.value;
    store.tell(`${store.placeOf(seat)}: chosen, ${length} in all`, "quiet");
  }
}

/** Wants so many units of an area, or as many as there are to be had. */
export function want(areaId: string, quantity: number): void {
  const state = store.state.value;
  if (!state || store.order.value || store.busy.value) return;
  const most = mostOf(state, areaId);
  if (quantity > most) store.tell("More are not to be had at once", "error");
  const wanted = new Map(store.wanted.value);
  if (quantity > 0 && most > 0) wanted.set(areaId, Math.min(quantity, most));
  else wanted.delete(areaId);
  store.wanted.value = wanted;
}

/** How many units of an area one hold may have now. */
export function mostOf({ areas, house }: State, areaId: string): number {
  const left = areas.get(areaId)?.available ?? 0;
  return Math.min(left, house.event.maxUnitsPerHold || MOST_UNITS);
}

export function put(seats: readonly number[]): void {
  store.chosen.value = seats;
  store.state.value?.put("chosen", seats);
}

export function forgetChoice(): void {
  put([]);
  store.wanted.value = new Map();
}

/** Runs a call that takes the chosen seats. */
export async function whileTaking<T>(seats: readonly number[], call: () => Promise<T>): Promise<T> {
  taking = new Set(seats);
  try {
    return await call();
  } finally {
    taking = new Set();
  }
}

/** Seats that somebody else has now flash and drop out of the choice. */
export function dropTaken(seats: readonly number[]): void {
  const state = store.state.value;
  if (!state) return;
  const gone = seats.filter((n) => state.chosen.has(n) && !taking.has(n) && !state.mine.has(n));
  if (gone.length === 0) return;
  refuse(gone);
  const places = gone.flatMap((n) => state.house.seats[n] ?? []).map(store.placeOf);
  store.tell(`Just taken by somebody else: ${places.slice(0, 4).join("; ")}`, "error");
}

/** They flash, and are not chosen any more. */
export function refuse(seats: readonly number[]): void {
  const gone = new Set(seats);
  put(store.chosen.value.filter((n) => !gone.has(n)));
  flash(seats);
}
