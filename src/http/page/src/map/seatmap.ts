// The map: camera, painter, overlay and gestures put together, one frame at a time.

import { Camera } from "./camera.ts";
import { coloursNow } from "./colours.ts";
import { painted } from "./frames.ts";
import { listen } from "./gestures.ts";
import { Grid } from "./grid.ts";
import type { House, Point } from "./house.ts";
import { Overlay } from "./overlay.ts";
import { Painter } from "./painter.ts";
import type { State } from "./state.ts";

// A finger is broad: how far beside a seat it may tap, CSS pixels.
const REACH = 12;
// A wheel has no end: so long after its last step the camera rests, ms.
const REST_MS = 120;

export interface Wishes {
  /** A seat was tapped. */
  onSeat(n: number): void;
  /** Standing places were tapped. */
  onArea(areaId: string): void;
  /** The mouse is over a seat, or over none any more. */
  onHover(n: number | undefined, at: Point | undefined): void;
}

export class SeatMap {
  readonly camera = new Camera();
  readonly #painter: Painter;
  readonly #overlay: Overlay;
  readonly #ends: (() => void)[] = [];
  #state: State;
  #grid: Grid;
  #frame = 0;
  #overlayDue = true;
  #rest = 0;
  /** After each frame. */
  onPainted: () => void = () => undefined;

  constructor(
    readonly element: HTMLElement,
    below: HTMLCanvasElement,
    above: HTMLCanvasElement,
    state: State,
    readonly wishes: Wishes,
  ) {
    const colours = coloursNow();
    this.#state = state;
    this.#grid = new Grid(state.house);
    this.#painter = new Painter(below, this.camera, colours);
    this.#overlay = new Overlay(above, this.camera, colours);
    this.camera.show(state.house);
    this.show(state);
    const sizes = new ResizeObserver(() => this.#resize());
    sizes.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const recolour = (): void => this.#recolour();
    dark.addEventListener("change", recolour);
    this.#ends.push(
      () => sizes.disconnect(),
      () => dark.removeEventListener("change", recolour),
      listen(element, {
        tap: (at) => this.#tap(at),
        hover: (at) => this.#hover(at),
        pan: (dx, dy) => this.#move(() => this.camera.pan(dx, dy)),
        zoom: (factor, at) => this.#move(() => this.camera.zoom(factor, at)),
      }),
    );
    this.#resize();
  }

  /** Another house, or another state of it. */
  show(state: State): void {
    this.#state.onChange = () => undefined;
    if (state.house !== this.#grid.house) {
      this.#grid = new Grid(state.house);
      this.camera.show(state.house);
    }
    this.#state = state;
    this.#overlay.forget();
    state.onChange = () => this.#wake();
    state.allDirty = true;
    this.#wake();
  }

  flash(seats: Iterable<number>): void {
    this.#overlay.flash(seats);
    this.#wakeOverlay();
  }

  /** Where the keyboard is, shown with a ring. */
  set cursor(n: number | undefined) {
    this.#overlay.cursor = n;
    const seat = n === undefined ? undefined : this.house.seats[n];
    if (seat) this.#move(() => this.camera.reveal(seat));
    this.#wakeOverlay();
  }

  next(from: number, way: Point): number | undefined {
    return this.#grid.next(from, way);
  }

  zoomBy(factor: number): void {
    const cursor = this.#overlay.cursor;
    const seat = cursor === undefined ? undefined : this.house.seats[cursor];
    const middle = { x: this.camera.width / 2, y: this.camera.height / 2 };
    this.#move(() => this.camera.zoom(factor, seat ? this.camera.toScreen(seat) : middle));
  }

  fit(): void {
    this.#move(() => this.camera.fit());
  }

  /** What is painted at a point of the screen, as "#rrggbb". */
  colourAt(point: Point): string {
    return this.#painter.colourAt(point);
  }

  get isResting(): boolean {
    return this.#rest === 0 && this.#frame === 0;
  }

  get house(): House {
    return this.#state.house;
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#rest);
    this.#ends.forEach((end) => end());
    this.#state.onChange = () => undefined;
  }

  #move(how: () => void): void {
    this.#painter.keepPicture();
    how();
    this.#state.allDirty = true;
    clearTimeout(this.#rest);
    this.#rest = window.setTimeout(() => {
      this.#rest = 0;
      this.#wake();
    }, REST_MS);
    this.#wakeOverlay();
  }

  #tap(at: Point): void {
    const n = this.#seatAt(at);
    if (n !== undefined) {
      this.wishes.onSeat(n);
      return;
    }
    const { x, y } = this.camera.toHouse(at);
    const inside = this.house.standing.find(
      ({ box }) => x > box.left && x < box.right && y > box.top && y < box.bottom,
    );
    if (inside) this.wishes.onArea(inside.area.areaId);
  }

  #hover(at: Point | undefined): void {
    const n = at && this.#seatAt(at);
    this.element.style.cursor = n === undefined ? "grab" : "pointer";
    if (n === this.#overlay.hovered) return;
    this.#overlay.hovered = n;
    const seat = n === undefined ? undefined : this.house.seats[n];
    this.wishes.onHover(n, seat && this.camera.toScreen(seat));
    this.#wakeOverlay();
  }

  #seatAt(at: Point): number | undefined {
    const reach = Math.max(this.camera.radius * 1.2, Math.min(REACH, this.camera.radius * 3));
    return this.#grid.at(this.camera.toHouse(at), reach / this.camera.scale);
  }

  #resize(): void {
    const { clientWidth, clientHeight } = this.element;
    this.camera.resize(clientWidth, clientHeight);
    // Beyond two, phones paint pixels that nobody sees.
    const dpr = Math.min(devicePixelRatio, 2);
    this.#painter.resize(dpr);
    this.#overlay.resize(dpr);
    this.#state.allDirty = true;
    this.#paint();
  }

  #recolour(): void {
    this.#painter.colours = this.#overlay.colours = coloursNow();
    this.#state.allDirty = true;
    this.#wakeOverlay();
  }

  #wakeOverlay(): void {
    this.#overlayDue = true;
    this.#wake();
  }

  #wake(): void {
    this.#frame ||= requestAnimationFrame(() => this.#paint());
  }

  #paint(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const begun = performance.now();
    if (this.#state.allDirty) this.#overlayDue = true;
    this.#painter.paint(this.#state, this.#rest !== 0);
    if (this.#overlayDue) {
      this.#overlayDue = this.#overlay.paint(this.house);
      if (this.#overlayDue) this.#wake();
    }
    painted(performance.now() - begun);
    this.onPainted();
  }
}
