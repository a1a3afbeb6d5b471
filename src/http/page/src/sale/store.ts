// What the page knows at a moment. Whoever shows it reads; the files beside this write.

import { computed, signal } from "@preact/signals";
import type { Calls } from "../calls.ts";
import type { Event } from "../gen/holdfast/v1/event_pb.ts";
import type { Hold, Order } from "../gen/holdfast/v1/reservation_pb.ts";
import type { Seat } from "../map/house.ts";
import type { State } from "../map/state.ts";
import type { Settings } from "../settings.ts";

/** "over": it is not tried again. */
export type Connection = "opening" | "live" | "cut" | "over";

export interface Notice {
  /** What is quiet is for screen readers alone: others see it anyway. */
  readonly kind: "error" | "good" | "plain" | "quiet";
  readonly text: string;
  /** So that the same text twice is told twice. */
  readonly n: number;
}

export const settings = signal<Settings | undefined>(undefined);
export const events = signal<readonly Event[]>([]);
/** The event that is shown, or is about to be. */
export const eventId = signal("");
export const state = signal<State | undefined>(undefined);
export const connection = signal<Connection>("opening");
export const viewers = signal(0);
/** Grows with each change of the house, a few times a second at most. */
export const pulse = signal(0);
export const notice = signal<Notice | undefined>(undefined);

/** Seats that were clicked and are not held yet, in that order. */
export const chosen = signal<readonly number[]>([]);
/** Units of areas that are wanted. */
export const wanted = signal<ReadonlyMap<string, number>>(new Map());
export const hold = signal<Hold | undefined>(undefined);
export const order = signal<Order | undefined>(undefined);
/** What is being asked of the server: buttons wait for it. */
export const busy = signal("");
/** How many ms the hold has left, by the server's clock. */
export const left = signal(0);

export const house = computed(() => state.value?.house);

/** How often a whole house came, a stream went on from a token, a seat flashed: for tests. */
export const counted = { snapshots: 0, resumes: 0, flashes: 0 };

let calls_: Calls | undefined;

export function useCalls(calls: Calls): void {
  calls_ = calls;
}

export function calls(): Calls {
  if (!calls_) throw new Error("the page has not begun");
  return calls_;
}

let told = 0;

export function tell(text: string, kind: Notice["kind"] = "plain"): void {
  notice.value = { text, kind, n: (told += 1) };
}

/** As people say it: "Row 3 seat 12, Parterre, left". */
export function placeOf(seat: Seat): string {
  return `Row ${seat.row} seat ${seat.label}, ${seat.section.name || seat.section.sectionId}`;
}
