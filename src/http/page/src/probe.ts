// `__holdfast` in the console: how the page is, for tests and for whoever is curious.

import { record, stop, type Frames } from "./map/frames.ts";
import type { Point } from "./map/house.ts";
import type { SeatMap } from "./map/seatmap.ts";
import { Look } from "./map/state.ts";
import * as store from "./sale/store.ts";

export interface Probe {
  /** How many whole houses came, and how many streams went on from a token. */
  readonly counted: typeof store.counted;
  /** Begins to record frames; `stop` answers them. */
  record(): void;
  stop(): Frames;
  /** Where a seat is on the map now, CSS pixels. */
  placeOf(seatId: string): Point;
  /** The middle of an area's box, CSS pixels. */
  middleOf(areaId: string): Point;
  lookOf(seatId: string): keyof typeof Look;
  /** What is painted in the left half of a seat: "#d97706". */
  colourOf(seatId: string): string;
  /** When a seat was first painted so, ms of the epoch. */
  painted(seatId: string, look: keyof typeof Look): Promise<number>;
  /** CSS pixels a metre. */
  scale(): number;
  /** Whether the camera stands still and all is painted. */
  isResting(): boolean;
  /** Paints every seat anew in each of so many frames: the worst that can come. */
  repaint(frames: number): Promise<Frames>;
}

declare global {
  interface Window {
    __holdfast: Probe;
  }
}

let map: SeatMap | undefined;
let waiting: { n: number; look: Look; tell: (at: number) => void }[] = [];

/** The map that is on the page. */
export function probe(shown: SeatMap): void {
  map = shown;
  shown.onPainted = tellPainted;
}

function tellPainted(): void {
  const isSo = ({ n, look }: { n: number; look: Look }): boolean =>
    store.state.value?.lookOf(n) === look;
  waiting.filter(isSo).forEach(({ tell }) => tell(performance.timeOrigin + performance.now()));
  waiting = waiting.filter((one) => !isSo(one));
}

function numberOf(seatId: string): number {
  const n = store.house.value?.numbers.get(seatId);
  if (n === undefined) throw new Error(`there is no seat ${seatId}`);
  return n;
}

window.__holdfast = {
  counted: store.counted,
  record,
  stop,
  placeOf: (seatId) => {
    const seat = store.house.value?.seats[numberOf(seatId)];
    if (!map || !seat) throw new Error("there is no map");
    return map.camera.toScreen(seat);
  },
  middleOf: (areaId) => {
    const box = store.house.value?.standing.find(({ area }) => area.areaId === areaId)?.box;
    if (!map || !box) throw new Error(`there is no area ${areaId}`);
    return map.camera.toScreen({ x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 });
  },
  lookOf: (seatId) => {
    const look = store.state.value?.lookOf(numberOf(seatId));
    const names = Object.keys(Look) as (keyof typeof Look)[];
    return names.find((name) => Look[name] === look) ?? "blocked";
  },
  colourOf: (seatId) => {
    const seat = store.house.value?.seats[numberOf(seatId)];
    if (!map || !seat) throw new Error("there is no map");
    const { x, y } = map.camera.toScreen(seat);
    return map.colourAt({ x: x - map.camera.radius * 0.4, y });
  },
  painted: (seatId, look) =>
    new Promise((tell) => {
      waiting.push({ n: numberOf(seatId), look: Look[look], tell });
      // It may be so already, and no frame comes any more.
      if (map?.isResting) tellPainted();
    }),
  scale: () => map?.camera.scale ?? 0,
  isResting: () => map?.isResting ?? false,
  repaint: (frames) =>
    new Promise((tell) => {
      record();
      let left = frames;
      const frame = (): void => {
        if ((left -= 1) < 0) return tell(stop());
        store.state.value?.spoil();
        requestAnimationFrame(frame);
      };
      frame();
    }),
};
