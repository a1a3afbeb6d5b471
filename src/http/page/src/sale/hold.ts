// The hold of this tab: made, changed, extended, given back, and found again.

import { Code } from "@connectrpc/connect";
import { durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { repeat, there } from "../calls.ts";
import { Refusal, type Reason } from "../errors.ts";
import { HoldState, type Hold } from "../gen/holdfast/v1/reservation_pb.ts";
import { tab } from "../settings.ts";
import { holderId } from "../token.ts";
import { uuid } from "../uuid.ts";
import { forgetChoice, put, refuse, whileTaking } from "./choice.ts";
import { correct, now } from "./clock.ts";
import { forgetOrder, recoverOrder } from "./order.ts";
import * as store from "./store.ts";

const TICK_MS = 200;
// A hold whose time is over is asked for so often until the server has ended it.
const OVERDUE_MS = 1_000;
// The stream tells what becomes of seats; units of areas have no names: they are asked for.
const LOOK_AGAIN_MS = 10_000;
const DEFAULT_TTL_MS = 900_000;
let ticking = 0;
let asking: Promise<void> | undefined;
let asked = 0;

const OPEN = new Set([HoldState.ACTIVE, HoldState.CONFIRMING]);
const ENDED = new Set<Reason>(["HOLD_EXPIRED", "HOLD_RELEASED", "HOLD_LOST", "HOLD_NOT_FOUND"]);

interface Wanted {
  /** Of the house's chart order. */
  readonly seats?: readonly number[];
  readonly best?: { quantity: number; sectionId: string; priceCategoryId: string };
}

/** Holds what is chosen; with a hold already, adds it to that. */
export function holdChosen(): Promise<void> {
  return store.hold.value ? add(store.hold.value) : make({ seats: store.chosen.value });
}

/** Holds the best seats that there are together. */
export function holdBest(best: NonNullable<Wanted["best"]>): Promise<void> {
  return make({ best });
}

async function make({ seats = [], best }: Wanted): Promise<void> {
  const house = there(store.house.value);
  const { eventId } = house.event;
  const holdId = uuid();
  const seatIds = seats.flatMap((n) => house.seats[n]?.id ?? []);
  const wants = best ? { bestAvailable: best } : { seatIds, areas: wantedAreas() };
  const request = { eventId, holdId, holderId: holderId(), ...wants };
  await ask("Holding", async () => {
    // Written down first: after a reload, too, the same id finds it.
    tab.set(nameOf(eventId), holdId);
    const sent = Date.now();
    const call = () => repeat((o) => store.calls().reservation.hold(request, o));
    // The best seats may be of the choice, too.
    const hold = there((await whileTaking(store.chosen.value, call)).hold);
    correct(timestampMs(there(hold.createTime)), sent, Date.now());
    show(hold);
    forgetChoice();
    store.tell(`${told(hold)} held for you`, "good");
  });
}

async function add(hold: Hold): Promise<void> {
  const house = there(store.house.value);
  const seats = store.chosen.value;
  const areas = new Map(hold.areas.map(({ areaId, quantity }) => [areaId, quantity]));
  for (const { areaId, quantity } of wantedAreas()) {
    areas.set(areaId, (areas.get(areaId) ?? 0) + quantity);
  }
  const request = {
    ...ids(hold),
    seatIds: [...hold.seatIds, ...seats.flatMap((n) => house.seats[n]?.id ?? [])],
    areas: [...areas].map(([areaId, quantity]) => ({ areaId, quantity })),
  };
  await ask("Adding", async () => {
    const call = () => repeat((o) => store.calls().reservation.changeHold(request, o));
    const changed = there((await whileTaking(seats, call)).hold);
    show(changed);
    forgetChoice();
    store.tell(`${told(changed)} held for you`, "good");
  });
}

/** By the event's hold_ttl again, as far as max_hold_time allows. */
export async function extend(): Promise<void> {
  const hold = there(store.hold.value);
  await ask("Extending", async () => {
    const ttlMs = Math.min(ttlOf(), latest(hold) - now());
    const request = { ...ids(hold), ttl: durationFromMs(Math.max(Math.floor(ttlMs), 1)) };
    const extended = await repeat((o) => store.calls().reservation.extendHold(request, o));
    show(there(extended.hold));
    store.tell("You have more time", "good");
  });
}

/** Gives back a seat, units of an area, or all of it. */
export async function release(what: { seatId?: string; areaId?: string } = {}): Promise<void> {
  const hold = there(store.hold.value);
  const { seatId, areaId } = what;
  const units = hold.areas.find((area) => area.areaId === areaId)?.quantity ?? 0;
  const areas = areaId ? [{ areaId, quantity: units }] : [];
  const request = { ...ids(hold), seatIds: seatId ? [seatId] : [], areas };
  await ask("Releasing", async () => {
    const answer = await repeat((o) => store.calls().reservation.release(request, o));
    show(there(answer.hold));
    store.tell("Given back");
  });
}

/** Whether more time is to be had, ms. */
export function canExtendBy(hold: Hold): number {
  return Math.min(now() + ttlOf(), latest(hold)) - timestampMs(there(hold.expireTime));
}

/** Asks how the hold is: seats of it are not held any more, or its time is over. */
export async function refresh(): Promise<void> {
  const hold = store.hold.value;
  if (!hold || store.busy.value) return;
  try {
    const { eventId, holdId } = hold;
    const call = store.calls().reservation;
    const answer = await repeat((o) => call.getHold({ eventId, holdId }, o));
    if (store.hold.value?.holdId !== holdId || store.busy.value) return;
    const now = there(answer.hold);
    show(now);
    if (now.state === HoldState.CONFIRMED) await recoverOrder(now);
  } catch (failure) {
    const isGone = Refusal.of(failure).code === Code.NotFound;
    if (isGone && store.hold.value?.holdId === hold.holdId) end(hold.eventId, "Your hold is gone");
  }
}

/**
 * After the connection was lost: how the hold is, or the one that this tab asked for and
 * was not told of, as before a reload.
 */
export async function lookAgain(eventId: string): Promise<void> {
  if (store.hold.value) return refresh();
  const name = nameOf(eventId);
  const holdId = tab.get(name);
  if (!holdId || store.order.value || store.busy.value) return;
  try {
    const call = store.calls().reservation;
    const { hold } = await repeat((o) => call.getHold({ eventId, holdId }, o));
    if (!hold || store.hold.value || tab.get(name) !== holdId) return;
    show(hold);
    if (OPEN.has(hold.state) || hold.state === HoldState.CONFIRMED) await recoverOrder(hold);
  } catch (failure) {
    const isGone = Refusal.of(failure).code === Code.NotFound;
    if (isGone && !store.busy.value && tab.get(name) === holdId) tab.drop(name);
  }
}

/** Makes the page show a hold as the server has it. */
export function show(hold: Hold): void {
  // Another event may have been chosen while the call was under way.
  if (store.house.value?.event.eventId !== hold.eventId) return;
  switch (hold.state) {
    case HoldState.ACTIVE:
    case HoldState.CONFIRMING:
      tab.set(nameOf(hold.eventId), hold.holdId);
      store.hold.value = hold;
      showMine();
      tick();
      return;
    case HoldState.EXPIRED:
      return end(hold.eventId, "Your hold has run out; its places are free again");
    case HoldState.LOST:
      return end(hold.eventId, "Your hold was lost with the store that kept it");
    case HoldState.RELEASED:
      return end(hold.eventId, "Your hold was ended; its places are free again");
    case HoldState.CONFIRMED:
      return forgetHold();
  }
}

/** Marks the hold's seats as ours; what is held is not to be chosen any more. */
export function showMine(): void {
  const state = store.state.value;
  if (!state) return;
  state.put("mine", state.numbersOf(store.hold.value?.seatIds ?? []));
  if (store.chosen.value.some((n) => state.mine.has(n))) {
    put(store.chosen.value.filter((n) => !state.mine.has(n)));
  }
}

export function forgetHold(): void {
  clearTimeout(ticking);
  store.hold.value = undefined;
  store.left.value = 0;
  forgetOrder();
  showMine();
}

function end(eventId: string, why: string): void {
  tab.drop(nameOf(eventId));
  forgetHold();
  store.tell(why, "error");
}

/** Under which a tab writes down its hold. */
export function nameOf(eventId: string): string {
  return `hold.${eventId}`;
}

function tick(): void {
  clearTimeout(ticking);
  const hold = store.hold.value;
  if (!hold) return;
  store.left.value = Math.max(timestampMs(there(hold.expireTime)) - now(), 0);
  ticking = window.setTimeout(tick, TICK_MS);
  const everyMs = hold.areas.length ? LOOK_AGAIN_MS : Infinity;
  if (performance.now() - asked < (store.left.value === 0 ? OVERDUE_MS : everyMs)) return;
  asked = performance.now();
  // Not asked again while it is asked for: the server may be out of reach.
  asking ??= refresh().finally(() => (asking = undefined));
}

/** Runs a call for a button; what is refused is told, with its seats. */
export async function ask(what: string, call: () => Promise<void>): Promise<void> {
  if (store.busy.value) return;
  store.busy.value = what;
  const refusal = await call().then(() => undefined, Refusal.of);
  store.busy.value = "";
  if (refusal) tellRefusal(refusal);
}

function tellRefusal(refusal: Refusal): void {
  const state = store.state.value;
  const seats = state?.numbersOf(refusal.inTheWay) ?? [];
  if (seats.length) refuse(seats);
  const places = seats.flatMap((n) => state?.house.seats[n] ?? []).map(store.placeOf);
  const which = places.length ? `: ${places.slice(0, 4).join("; ")}` : "";
  store.tell(`${refusal.told}${which}${refusal.reason ? ` (${refusal.reason})` : ""}`, "error");
  const hold = store.hold.value;
  if (hold && ENDED.has(refusal.reason)) {
    tab.drop(nameOf(hold.eventId));
    forgetHold();
  }
  // It may be done all the same.
  if (refusal.isOutcomeUnknown && state) void lookAgain(state.house.event.eventId);
}

function wantedAreas(): { areaId: string; quantity: number }[] {
  return [...store.wanted.value].map(([areaId, quantity]) => ({ areaId, quantity }));
}

function ids({ eventId, holdId, holderId }: Hold) {
  return { eventId, holdId, holderId };
}

function told(hold: Hold): string {
  const units = hold.areas.reduce((all, { quantity }) => all + quantity, hold.seatIds.length);
  return units === 1 ? "1 place is" : `${units} places are`;
}

function ttlOf(): number {
  const seconds = store.house.value?.event.holdTtl?.seconds;
  return seconds === undefined ? DEFAULT_TTL_MS : Number(seconds) * 1_000;
}

/** The latest expiry that the event allows a hold. */
function latest(hold: Hold): number {
  const most = Number(store.house.value?.event.maxHoldTime?.seconds ?? 7_200n) * 1_000;
  return timestampMs(there(hold.createTime)) + most;
}

