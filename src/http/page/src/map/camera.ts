// Which part of the house is on the screen, and how large.

import type { Box, House, Point } from "./house.ts";

// CSS pixels of a seat's radius when all is as near as it goes.
const NEAREST_RADIUS = 20;
/** Of the pitch. */
const RADIUS = 0.45;

export class Camera {
  /** CSS pixels a metre. */
  scale = 1;
  /** Where the stage's middle is, in CSS pixels. */
  x = 0;
  y = 0;
  width = 1;
  height = 1;
  #house: House | undefined;

  show(house: House): void {
    this.#house = house;
    this.fit();
  }

  resize(width: number, height: number): void {
    const wasWhole = this.scale <= this.#farthest() * 1.01;
    this.width = Math.max(width, 1);
    this.height = Math.max(height, 1);
    if (wasWhole) this.fit();
    else this.#keepIn();
  }

  /** The whole house. */
  fit(): void {
    if (!this.#house) return;
    const { left, right, top, bottom } = this.#house.bounds;
    this.scale = this.#farthest();
    this.x = this.width / 2 - ((left + right) / 2) * this.scale;
    this.y = this.height / 2 - ((top + bottom) / 2) * this.scale;
  }

  /** Larger by a factor, about a point of the screen. */
  zoom(factor: number, at: Point): void {
    const scale = Math.min(Math.max(this.scale * factor, this.#farthest()), this.#nearest());
    const by = scale / this.scale;
    this.x = at.x - (at.x - this.x) * by;
    this.y = at.y - (at.y - this.y) * by;
    this.scale = scale;
    this.#keepIn();
  }

  pan(dx: number, dy: number): void {
    this.x += dx;
    this.y += dy;
    this.#keepIn();
  }

  /** Moves so that a point of the house is on the screen, away from its edges. */
  reveal(point: Point): void {
    const edge = Math.min(60, this.width / 4, this.height / 4);
    const { x, y } = this.toScreen(point);
    this.pan(
      Math.max(edge - x, 0) + Math.min(this.width - edge - x, 0),
      Math.max(edge - y, 0) + Math.min(this.height - edge - y, 0),
    );
  }

  toScreen({ x, y }: Point): Point {
    return { x: x * this.scale + this.x, y: y * this.scale + this.y };
  }

  toHouse({ x, y }: Point): Point {
    return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale };
  }

  /** What of the house is on the screen. */
  get seen(): Box {
    const { x: left, y: top } = this.toHouse({ x: 0, y: 0 });
    const { x: right, y: bottom } = this.toHouse({ x: this.width, y: this.height });
    return { left, top, right, bottom };
  }

  /** Of a seat, in CSS pixels. */
  get radius(): number {
    return (this.#house?.pitch ?? 1) * RADIUS * this.scale;
  }

  #farthest(): number {
    if (!this.#house) return 1;
    const { left, right, top, bottom } = this.#house.bounds;
    return Math.min(this.width / (right - left), this.height / (bottom - top));
  }

  #nearest(): number {
    const nearest = NEAREST_RADIUS / ((this.#house?.pitch ?? 1) * RADIUS);
    return Math.max(nearest, this.#farthest());
  }

  /** Some of the house always stays on the screen; a house that fits stays in its middle. */
  #keepIn(): void {
    if (!this.#house) return;
    const { left, right, top, bottom } = this.#house.bounds;
    this.x = kept(this.x, left * this.scale, right * this.scale, this.width);
    this.y = kept(this.y, top * this.scale, bottom * this.scale, this.height);
  }
}

function kept(at: number, low: number, high: number, size: number): number {
  if (high - low <= size) return size / 2 - (low + high) / 2;
  return Math.min(Math.max(at, size - high), -low);
}
