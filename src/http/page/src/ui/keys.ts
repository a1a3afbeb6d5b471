// The map by keyboard.

import type { Signal } from "@preact/signals";
import type { SeatMap } from "../map/seatmap.ts";
import { toggle } from "../sale/choice.ts";

const WAYS: Record<string, { x: number; y: number }> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
};

export function keysFor(map: SeatMap, cursor: Signal<number | undefined>) {
  const go = (to: number | undefined): void => {
    if (to === undefined || !map.house.seats[to]) return;
    cursor.value = to;
    map.cursor = to;
  };
  // Where the cursor is not to be seen yet, nothing is chosen blindly.
  const choose = (): void => (cursor.value === undefined ? go(0) : toggle(cursor.value));
  return (event: KeyboardEvent): void => {
    const at = cursor.value ?? 0;
    const way = WAYS[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (way) go(cursor.value === undefined ? 0 : map.next(at, way));
    else if (event.key === "Home") go(rowOf(map, at)[0]);
    else if (event.key === "End") go(rowOf(map, at).at(-1));
    else if (event.key === "PageDown") go(sectionFrom(map, at, 1));
    else if (event.key === "PageUp") go(sectionFrom(map, at, -1));
    else if (event.key === "Enter" || event.key === " ") choose();
    else if (event.key === "+" || event.key === "=") map.zoomBy(1.5);
    else if (event.key === "-") map.zoomBy(1 / 1.5);
    else if (event.key === "0") map.fit();
    else return;
    event.preventDefault();
  };
}

function rowOf(map: SeatMap, n: number): readonly number[] {
  return map.house.rows.find((row) => row.includes(n)) ?? [];
}

/** The first seat of the section before or after. */
function sectionFrom(map: SeatMap, n: number, by: 1 | -1): number | undefined {
  const { seats, sections } = map.house;
  const place = sections.findIndex((section) => section === seats[n]?.section);
  const section = sections[place + by];
  return seats.find((seat) => seat.section === section)?.n;
}
