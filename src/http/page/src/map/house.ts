// The house as it is drawn: a place for every seat, area and section, in metres.

import type { GetEventResponse } from "../gen/holdfast/v1/catalog_pb.ts";
import type { Area, Chart, Event, PriceCategory, Section } from "../gen/holdfast/v1/event_pb.ts";
import { layOut } from "./layout.ts";
import { blocksOf, type Block } from "./blocks.ts";

export interface Point {
  x: number;
  y: number;
}

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** A seat as the chart has it; its number is its place in chart order. */
export interface Seat {
  readonly n: number;
  readonly id: string;
  readonly section: Section;
  readonly row: string;
  /** What stands on it: the last part of its id, or its place in the row. */
  readonly label: string;
  readonly price: number;
  readonly accessible: boolean;
  readonly reserved: boolean;
  x: number;
  y: number;
}

/** Standing places, drawn as a box with a gauge. */
export interface Standing {
  readonly area: Area;
  readonly price: number;
  readonly box: Box;
}

export interface House {
  readonly event: Event;
  readonly chartVersion: bigint;
  readonly prices: readonly PriceCategory[];
  readonly seats: readonly Seat[];
  readonly numbers: ReadonlyMap<string, number>;
  /** Of each row the numbers of its seats, as they stand. */
  readonly rows: readonly (readonly number[])[];
  readonly sections: readonly Section[];
  readonly blocks: readonly Block[];
  readonly standing: readonly Standing[];
  readonly stage: Box;
  readonly bounds: Box;
  /** From seat to seat, metres. */
  readonly pitch: number;
}

// Around what is drawn, metres.
const MARGIN = 1.4;

export function houseOf({ event, chart, chartVersion }: GetEventResponse): House {
  if (!event || !chart) throw new Error("the server's answer has no event");
  const { seats, rows } = seatsOf(chart);
  if (!hasPlaces(seats)) layOut(seats, rows);
  const pitch = pitchOf(seats, rows);
  const stage = stageOf(seats, pitch);
  const around = grow(boxOf([...seats, ...corners(stage)]), pitch);
  const standing = standingOf(chart, around);
  const all = boxOf([around, ...standing.map(({ box }) => box)].flatMap(corners));
  return {
    event,
    chartVersion,
    prices: chart.priceCategories,
    seats,
    numbers: new Map(seats.map(({ id, n }) => [id, n])),
    rows,
    sections: chart.sections,
    blocks: blocksOf(seats, rows, pitch),
    standing,
    stage,
    bounds: grow(all, MARGIN),
    pitch,
  };
}

function seatsOf(chart: Chart): { seats: Seat[]; rows: number[][] } {
  const prices = new Map(chart.priceCategories.map((p, n) => [p.priceCategoryId, n]));
  const seats: Seat[] = [];
  const rows: number[][] = [];
  for (const section of chart.sections) {
    for (const row of section.rows) {
      rows.push(row.seats.map((_, place) => seats.length + place));
      row.seats.forEach((seat, place) => {
        const last = seat.seatId.split(/[:\-_/]/).at(-1) ?? "";
        seats.push({
          n: seats.length,
          id: seat.seatId,
          section,
          row: row.rowId,
          label: /^\d{1,4}[a-z]?$/i.test(last) ? last : String(place + 1),
          price: prices.get(seat.priceCategoryId) ?? 0,
          accessible: seat.accessible,
          reserved: seat.reserved,
          x: seat.x,
          y: seat.y,
        });
      });
    }
  }
  return { seats, rows };
}

/** Whether the chart says where its seats are: two at one place is a chart that does not. */
function hasPlaces(seats: readonly Seat[]): boolean {
  const places = new Set(seats.map(({ x, y }) => `${x.toFixed(2)} ${y.toFixed(2)}`));
  return places.size > seats.length * 0.98;
}

/** How near seats of a row commonly are to each other; every tenth row will tell. */
function pitchOf(seats: readonly Seat[], rows: readonly (readonly number[])[]): number {
  const steps: number[] = [];
  const every = Math.ceil(rows.length / 200);
  for (let r = 0; r < rows.length; r += every) {
    const row = rows[r] ?? [];
    for (let k = 1; k < row.length; k++) {
      const [one, other] = [seats[row[k - 1]!]!, seats[row[k]!]!];
      steps.push(Math.hypot(one.x - other.x, one.y - other.y));
    }
  }
  steps.sort((one, other) => one - other);
  return Math.max(steps[Math.floor(steps.length / 20)] ?? 0.55, 0.05);
}

/** About the middle, as large as the seats leave room for, but no larger than a stage is. */
function stageOf(seats: readonly Seat[], pitch: number): Box {
  const house = seats.length ? boxOf(seats) : { left: -8, right: 8, top: 0, bottom: 8 };
  const away = 2.5 * pitch;
  let half = Math.max(0.16 * (house.right - house.left), 3 * pitch);
  const clear = (w: number, h: number): boolean =>
    seats.every(({ x, y }) => Math.abs(x) > w + away || Math.abs(y) > h + away);
  while (half > pitch && !clear(half, half * 0.5)) half *= 0.92;
  return { left: -half, right: half, top: -half * 0.5, bottom: half * 0.5 };
}

/** Areas have no place in the chart: they stand behind the last row, side by side. */
function standingOf(chart: Chart, around: Box): Standing[] {
  const prices = new Map(chart.priceCategories.map((p, n) => [p.priceCategoryId, n]));
  const width = Math.max(around.right - around.left, 12);
  const columns = Math.min(chart.areas.length, 3);
  const gap = width * 0.02;
  const each = (Math.min(width, 60) - gap * (columns - 1)) / Math.max(columns, 1);
  const height = Math.max(width * 0.07, 2);
  const left = (around.left + around.right - Math.min(width, 60)) / 2;
  return chart.areas.map((area, n) => {
    const x = left + (n % columns) * (each + gap);
    const y = around.bottom + height * 0.4 + Math.floor(n / columns) * (height + gap);
    const box = { left: x, right: x + each, top: y, bottom: y + height };
    return { area, price: prices.get(area.priceCategoryId) ?? 0, box };
  });
}

export function boxOf(points: readonly Point[]): Box {
  const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const { x, y } of points) {
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x);
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y);
  }
  return box;
}

export function corners({ left, top, right, bottom }: Box): Point[] {
  return [
    { x: left, y: top },
    { x: right, y: bottom },
  ];
}

export function grow({ left, top, right, bottom }: Box, by: number): Box {
  return { left: left - by, top: top - by, right: right + by, bottom: bottom + by };
}
