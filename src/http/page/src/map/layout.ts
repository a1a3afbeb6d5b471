// A house without coordinates: its sections side by side, their rows behind each other.

import type { Seat } from "./house.ts";

const SEAT = 0.55;
const ROW = 0.9;
const AISLE = 1.4;
const FIRST_ROW = 5;

/** Gives each seat a place; rows are centred in their section. */
export function layOut(seats: readonly Seat[], rows: readonly (readonly number[])[]): void {
  const sections: number[][][] = [];
  let last: unknown;
  for (const row of rows) {
    const section = seats[row[0] ?? -1]?.section;
    if (section !== last) sections.push([]);
    last = section;
    sections.at(-1)?.push([...row]);
  }
  const widest = Math.max(...sections.map(width), 0);
  const columns = Math.max(1, Math.min(sections.length, Math.round(36 / (widest + AISLE))));
  let y = FIRST_ROW;
  for (let first = 0; first < sections.length; first += columns) {
    const line = sections.slice(first, first + columns);
    let x = -(line.length * (widest + AISLE) - AISLE) / 2;
    for (const section of line) {
      place(seats, section, x + widest / 2, y);
      x += widest + AISLE;
    }
    y += Math.max(...line.map((section) => section.length)) * ROW + AISLE;
  }
}

function width(section: readonly number[][]): number {
  return Math.max(...section.map((row) => row.length)) * SEAT;
}

function place(seats: readonly Seat[], section: number[][], middle: number, top: number): void {
  section.forEach((row, r) => {
    row.forEach((n, place) => {
      const seat = seats[n];
      if (!seat) return;
      seat.x = middle + (place - (row.length - 1) / 2) * SEAT;
      seat.y = top + r * ROW;
    });
  });
}
