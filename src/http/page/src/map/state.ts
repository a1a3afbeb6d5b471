// Who has which seat now, as the page knows it, and what has changed since it was drawn.

import type { AreaState, PackedSeats, SeatState } from "../gen/holdfast/v1/seat_pb.ts";
import type { House } from "./house.ts";

/** How a seat looks. The first four are the contract's statuses, less one. */
export const Look = {
  free: 0,
  held: 1,
  sold: 2,
  blocked: 3,
  chosen: 4,
  mine: 5,
  bought: 6,
} as const;
export type Look = (typeof Look)[keyof typeof Look];

export interface Left {
  available: number;
  capacity: number;
}

/** The state of a house's seats and areas. */
export class State {
  /** Statuses as the stream tells them, less one. */
  readonly statuses: Uint8Array;
  readonly areas = new Map<string, Left>();
  readonly chosen = new Set<number>();
  readonly mine = new Set<number>();
  readonly bought = new Set<number>();
  /** Seats to draw anew. */
  readonly dirty = new Set<number>();
  areasDirty = false;
  allDirty = true;
  onChange: () => void = () => undefined;

  constructor(readonly house: House) {
    this.statuses = new Uint8Array(house.seats.length);
  }

  lookOf(n: number): Look {
    if (this.bought.has(n)) return Look.bought;
    if (this.mine.has(n)) return Look.mine;
    if (this.chosen.has(n)) return Look.chosen;
    return (this.statuses[n] ?? 0) as Look;
  }

  isFree(n: number): boolean {
    return this.statuses[n] === Look.free;
  }

  /** False where the chart has grown: read it anew. */
  takeSnapshot(packed: PackedSeats, areas: readonly AreaState[]): boolean {
    if (packed.chartVersion !== this.house.chartVersion) return false;
    for (let n = 0; n < this.statuses.length; n++) {
      this.statuses[n] = ((packed.statuses[n >> 2] ?? 0) >> (2 * (n & 3))) & 3;
    }
    this.takeAreas(areas);
    this.allDirty = true;
    this.onChange();
    return true;
  }

  /** The seats that are not what they were; undefined where one is not in the chart. */
  takeChanges(seats: readonly SeatState[], areas: readonly AreaState[]): number[] | undefined {
    const changed: number[] = [];
    for (const { seatId, status } of seats) {
      const n = this.house.numbers.get(seatId);
      if (n === undefined) return undefined;
      if (this.statuses[n] === status - 1) continue;
      this.statuses[n] = status - 1;
      this.dirty.add(n);
      changed.push(n);
    }
    this.takeAreas(areas);
    this.onChange();
    return changed;
  }

  takeAreas(areas: readonly AreaState[]): void {
    for (const { areaId, available, capacity } of areas) {
      this.areas.set(areaId, { available, capacity });
      this.areasDirty = true;
    }
  }

  /** Makes a set of seats be these. */
  put(which: "chosen" | "mine" | "bought", seats: Iterable<number>): void {
    const wanted = new Set(seats);
    const set = this[which];
    for (const n of [...set]) {
      if (wanted.has(n)) continue;
      set.delete(n);
      this.dirty.add(n);
    }
    for (const n of wanted) {
      if (set.has(n)) continue;
      set.add(n);
      this.dirty.add(n);
    }
    this.onChange();
  }

  /** Marks every seat as changed. */
  spoil(): void {
    for (let n = 0; n < this.statuses.length; n++) this.dirty.add(n);
    this.onChange();
  }

  numbersOf(seatIds: readonly string[]): number[] {
    return seatIds.flatMap((id) => this.house.numbers.get(id) ?? []);
  }

  /** How many seats have each status. */
  count(): [free: number, held: number, sold: number, blocked: number] {
    const counts: [number, number, number, number] = [0, 0, 0, 0];
    for (const status of this.statuses) counts[status as 0 | 1 | 2 | 3] += 1;
    return counts;
  }
}
