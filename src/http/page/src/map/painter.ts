// Paints the house. Between two moves of the camera only what changed is painted.

import type { Camera } from "./camera.ts";
import type { Colours } from "./colours.ts";
import type { Box, Seat } from "./house.ts";
import { Sprites } from "./sprites.ts";
import type { Look, State } from "./state.ts";

// With so much room a seat has its number, CSS pixels.
const LABEL_RADIUS = 8.5;
// Where painting all takes longer, a moving camera shifts the last picture instead, ms.
const SLOW_PAINT_MS = 7;

export class Painter {
  readonly #on: CanvasRenderingContext2D;
  readonly #sprites = new Sprites();
  readonly #picture = document.createElement("canvas");
  #pictureOf: { scale: number; x: number; y: number } | undefined;
  #paintMs = 0;
  #dpr = 1;

  constructor(
    readonly canvas: HTMLCanvasElement,
    readonly camera: Camera,
    public colours: Colours,
  ) {
    const on = canvas.getContext("2d", { alpha: false });
    if (!on) throw new Error("this browser has no canvas");
    this.#on = on;
  }

  resize(dpr: number): void {
    this.#dpr = dpr;
    this.canvas.width = Math.round(this.camera.width * dpr);
    this.canvas.height = Math.round(this.camera.height * dpr);
  }

  /** Paints what is due. While the camera moves, a slow picture waits until it rests. */
  paint(state: State, moving: boolean): void {
    if (state.allDirty && moving && this.#paintMs > SLOW_PAINT_MS) {
      this.#shift();
      return;
    }
    if (state.allDirty) {
      const begun = performance.now();
      this.#paintAll(state);
      this.#paintMs = performance.now() - begun;
    } else {
      this.#paintChanged(state);
    }
    this.#pictureOf = undefined;
    state.allDirty = state.areasDirty = false;
    state.dirty.clear();
  }

  #paintChanged(state: State): void {
    const on = this.#on;
    on.setTransform(1, 0, 0, 1, 0, 0);
    const { seats } = state.house;
    const seen = this.#reach();
    for (const n of state.dirty) {
      const seat = seats[n];
      if (seat && isIn(seat, seen)) this.#paintSeat(seat, state.lookOf(n));
    }
    if (state.areasDirty) this.#paintStanding(state);
  }

  #paintAll(state: State): void {
    const { camera, colours } = this;
    const { house } = state;
    const on = this.#on;
    on.setTransform(1, 0, 0, 1, 0, 0);
    on.fillStyle = colours.paper;
    on.fillRect(0, 0, this.canvas.width, this.canvas.height);
    const labelled = camera.radius >= LABEL_RADIUS;
    this.#sprites.prepare(camera.radius * this.#dpr, labelled, house, colours);
    this.#paintGround(state);
    this.#paintStage(house.stage);
    on.setTransform(1, 0, 0, 1, 0, 0);
    const seen = this.#reach();
    for (const seat of house.seats) {
      if (isIn(seat, seen)) this.#paintSeat(seat, state.lookOf(seat.n));
    }
    this.#paintStanding(state);
  }

  #paintSeat(seat: Seat, look: Look): void {
    const { camera } = this;
    const half = this.#sprites.cell / 2;
    const x = Math.round((seat.x * camera.scale + camera.x) * this.#dpr - half);
    const y = Math.round((seat.y * camera.scale + camera.y) * this.#dpr - half);
    this.#sprites.put(this.#on, look, seat, x, y);
  }

  #paintGround(state: State): void {
    const on = this.#on;
    const { scale } = this.camera;
    on.fillStyle = this.colours.ground;
    for (const { middle, along, half } of state.house.blocks) {
      const { x, y } = this.camera.toScreen(middle);
      const [c, s, d] = [along.x * this.#dpr, along.y * this.#dpr, this.#dpr];
      on.setTransform(c, s, -s, c, x * d, y * d);
      on.beginPath();
      const [w, h] = [half.x * scale, half.y * scale];
      on.roundRect(-w, -h, 2 * w, 2 * h, Math.min(0.5 * scale, 10));
      on.fill();
    }
  }

  #paintStage(stage: Box): void {
    const on = this.#on;
    on.setTransform(this.#dpr, 0, 0, this.#dpr, 0, 0);
    const { left, top, right, bottom } = this.#onScreen(stage);
    on.fillStyle = this.colours.stage;
    on.beginPath();
    const corner = (bottom - top) * 0.14;
    on.roundRect(left, top, right - left, bottom - top, [corner, corner, corner * 3, corner * 3]);
    on.fill();
    on.fillStyle = "#ffffff";
    on.textAlign = "center";
    on.textBaseline = "middle";
    const size = Math.min(Math.max((right - left) * 0.13, 8), 22);
    on.font = `600 ${size}px system-ui, sans-serif`;
    on.letterSpacing = `${size * 0.2}px`;
    on.fillText("STAGE", (left + right) / 2 + size * 0.1, (top + bottom) / 2);
    on.letterSpacing = "0px";
  }

  /** Boxes that empty from the right as their places go. */
  #paintStanding(state: State): void {
    const on = this.#on;
    const { colours } = this;
    on.setTransform(this.#dpr, 0, 0, this.#dpr, 0, 0);
    for (const { area, box, price } of state.house.standing) {
      const { left, top, right, bottom } = this.#onScreen(box);
      const corner = Math.min((bottom - top) * 0.25, 12);
      const told = state.areas.get(area.areaId);
      const part = told ? 1 - told.available / Math.max(told.capacity, 1) : 0;
      on.save();
      on.fillStyle = colours.ground;
      on.beginPath();
      on.roundRect(left, top, right - left, bottom - top, corner);
      on.fill();
      on.clip();
      on.fillStyle = colours.hues[price % colours.hues.length] ?? colours.ink;
      on.globalAlpha = 0.28;
      on.fillRect(left, top, (right - left) * part, bottom - top);
      on.globalAlpha = 1;
      on.fillRect(left, bottom - 4, (right - left) * part, 4);
      on.restore();
      const size = Math.min(Math.max((bottom - top) * 0.3, 8), 15);
      on.fillStyle = colours.ink;
      on.textAlign = "center";
      on.textBaseline = "middle";
      on.font = `600 ${size}px system-ui, sans-serif`;
      const [x, y] = [(left + right) / 2, (top + bottom) / 2];
      const name = area.name || area.areaId;
      const left_ = told ? ` · ${told.available} of ${told.capacity} left` : "";
      on.fillText(name + left_, x, y, right - left - 8);
    }
  }

  /** The last whole picture, moved and stretched to where the camera is now. */
  #shift(): void {
    const { camera, canvas } = this;
    if (!this.#pictureOf) return;
    const by = camera.scale / this.#pictureOf.scale;
    const d = this.#dpr;
    const x = (camera.x - this.#pictureOf.x * by) * d;
    const y = (camera.y - this.#pictureOf.y * by) * d;
    const on = this.#on;
    on.setTransform(1, 0, 0, 1, 0, 0);
    on.fillStyle = this.colours.paper;
    on.fillRect(0, 0, canvas.width, canvas.height);
    on.drawImage(this.#picture, x, y, canvas.width * by, canvas.height * by);
  }

  /** To be called before the camera moves: keeps what is painted now, if that was slow. */
  keepPicture(): void {
    if (this.#pictureOf || this.#paintMs <= SLOW_PAINT_MS) return;
    const { scale, x, y } = this.camera;
    this.#pictureOf = { scale, x, y };
    this.#picture.width = this.canvas.width;
    this.#picture.height = this.canvas.height;
    this.#picture.getContext("2d", { alpha: false })?.drawImage(this.canvas, 0, 0);
  }

  /** What is painted at a point, as "#rrggbb". */
  colourAt({ x, y }: { x: number; y: number }): string {
    const { data } = this.#on.getImageData(x * this.#dpr, y * this.#dpr, 1, 1);
    return `#${[...data.slice(0, 3)].map((part) => part.toString(16).padStart(2, "0")).join("")}`;
  }

  #onScreen({ left, top, right, bottom }: Box): Box {
    const { x, y } = this.camera.toScreen({ x: left, y: top });
    const end = this.camera.toScreen({ x: right, y: bottom });
    return { left: x, top: y, right: end.x, bottom: end.y };
  }

  /** What is on the screen, and half a seat more. */
  #reach(): Box {
    const { left, top, right, bottom } = this.camera.seen;
    const more = this.camera.radius / this.camera.scale;
    return { left: left - more, top: top - more, right: right + more, bottom: bottom + more };
  }
}

function isIn({ x, y }: Seat, box: Box): boolean {
  return x > box.left && x < box.right && y > box.top && y < box.bottom;
}
