// What of a section stands together in one direction: its ground, and where its name goes.

import type { Section } from "../gen/holdfast/v1/event_pb.ts";
import type { Point, Seat } from "./house.ts";

export interface Block {
  readonly section: Section;
  /** Its middle; `along` its rows it reaches `half.x` either way, across them `half.y`. */
  readonly middle: Point;
  readonly along: Point;
  readonly half: Point;
}

const SAME_DIRECTION = Math.cos((4 * Math.PI) / 180);

/** Rows that follow each other, point the same way and are near are one block. */
export function blocksOf(
  seats: readonly Seat[],
  rows: readonly (readonly number[])[],
  pitch: number,
): Block[] {
  const blocks: Block[] = [];
  let group: Seat[] = [];
  let along: Point = { x: 1, y: 0 };
  let before: Seat[] = [];
  for (const row of rows) {
    const now = row.flatMap((n) => seats[n] ?? []);
    const direction = directionOf(now) ?? along;
    const goesOn =
      before[0]?.section === now[0]?.section &&
      direction.x * along.x + direction.y * along.y > SAME_DIRECTION &&
      distance(middleOf(before), middleOf(now)) < pitch * 6;
    if (!goesOn && group.length) {
      blocks.push(blockOf(group, along, pitch));
      group = [];
    }
    if (!group.length) along = direction;
    group.push(...now);
    before = now;
  }
  if (group.length) blocks.push(blockOf(group, along, pitch));
  return blocks;
}

function blockOf(seats: readonly Seat[], along: Point, pitch: number): Block {
  const across = { x: -along.y, y: along.x };
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { x, y } of seats) {
    const u = x * along.x + y * along.y;
    const v = x * across.x + y * across.y;
    [left, right] = [Math.min(left, u), Math.max(right, u)];
    [top, bottom] = [Math.min(top, v), Math.max(bottom, v)];
  }
  const [u, v] = [(left + right) / 2, (top + bottom) / 2];
  return {
    section: seats[0]!.section,
    middle: { x: u * along.x + v * across.x, y: u * along.y + v * across.y },
    along,
    half: { x: (right - left) / 2 + pitch * 0.8, y: (bottom - top) / 2 + pitch * 0.8 },
  };
}

/** From the first seat to the last one; a single seat has none. */
function directionOf(row: readonly Seat[]): Point | undefined {
  const [first, last] = [row[0], row.at(-1)];
  if (!first || !last) return undefined;
  const length = distance(first, last);
  if (length === 0) return undefined;
  return { x: (last.x - first.x) / length, y: (last.y - first.y) / length };
}

function middleOf(row: readonly Seat[]): Point {
  const [first, last] = [row[0], row.at(-1)];
  if (!first || !last) return { x: 0, y: 0 };
  return { x: (first.x + last.x) / 2, y: (first.y + last.y) / 2 };
}

function distance(one: Point, other: Point): number {
  return Math.hypot(one.x - other.x, one.y - other.y);
}
