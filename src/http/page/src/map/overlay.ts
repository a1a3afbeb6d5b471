// What lies above the seats: names of sections, the cursor, and seats that flash.

import type { Camera } from "./camera.ts";
import type { Block } from "./blocks.ts";
import type { Colours } from "./colours.ts";
import type { House, Seat } from "./house.ts";

const LARGEST = 13;
const SMALLEST = 8;
// Below this radius seats are no more than a texture, CSS pixels.
const TINY = 1.3;
const FLASH_MS = 1_200;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

interface Name {
  readonly lines: string[];
  readonly size: number;
}

export class Overlay {
  readonly #on: CanvasRenderingContext2D;
  readonly #flashing = new Map<number, number>();
  readonly #names = new Map<Block, Name | undefined>();
  #namesAt = 0;
  #dpr = 1;
  hovered: number | undefined;
  cursor: number | undefined;

  constructor(
    readonly canvas: HTMLCanvasElement,
    readonly camera: Camera,
    public colours: Colours,
  ) {
    const on = canvas.getContext("2d");
    if (!on) throw new Error("this browser has no canvas");
    this.#on = on;
  }

  resize(dpr: number): void {
    this.#dpr = dpr;
    this.canvas.width = Math.round(this.camera.width * dpr);
    this.canvas.height = Math.round(this.camera.height * dpr);
  }

  flash(seats: Iterable<number>): void {
    for (const n of seats) this.#flashing.set(n, performance.now());
  }

  /** Another house: nothing of the old one stays. */
  forget(): void {
    this.#flashing.clear();
    this.#names.clear();
    this.hovered = this.cursor = undefined;
  }

  /** True where it wants to be painted again in the next frame. */
  paint(house: House): boolean {
    const on = this.#on;
    const { width, height } = this.camera;
    on.setTransform(this.#dpr, 0, 0, this.#dpr, 0, 0);
    on.clearRect(0, 0, width, height);
    for (const block of house.blocks) this.#paintName(block, house);
    const hovered = this.hovered === undefined ? undefined : house.seats[this.hovered];
    if (hovered) this.#ring(hovered, this.colours.ink, 1.25, 1.5);
    const cursor = this.cursor === undefined ? undefined : house.seats[this.cursor];
    if (cursor) {
      this.#ring(cursor, this.colours.ground, 1.5, 5);
      this.#ring(cursor, this.colours.accent, 1.5, 3);
    }
    return this.#paintFlashes(house);
  }

  #paintFlashes(house: House): boolean {
    const now = performance.now();
    for (const [n, begun] of this.#flashing) {
      const seat = house.seats[n];
      const part = (now - begun) / FLASH_MS;
      if (!seat || part >= 1) {
        this.#flashing.delete(n);
        continue;
      }
      // Three beats that grow; a steady ring where motion is not wanted.
      const beat = calm.matches ? 0.5 : (part * 3) % 1;
      this.#on.globalAlpha = calm.matches ? 1 : 1 - beat;
      this.#ring(seat, this.colours.danger, 1.1 + beat * 1.1, 2.5);
      this.#on.globalAlpha = 1;
    }
    return this.#flashing.size > 0;
  }

  #ring(seat: Seat, colour: string, times: number, line: number): void {
    const { x, y } = this.camera.toScreen(seat);
    this.#on.strokeStyle = colour;
    this.#on.lineWidth = line;
    this.#on.beginPath();
    this.#on.arc(x, y, Math.max(this.camera.radius * times, 5), 0, 2 * Math.PI);
    this.#on.stroke();
  }

  /** Before the first row; over the seats where those are too small to be chosen. */
  #paintName(block: Block, house: House): void {
    const { camera } = this;
    if (camera.scale !== this.#namesAt) this.#names.clear();
    this.#namesAt = camera.scale;
    if (!this.#names.has(block)) this.#names.set(block, this.#fit(block));
    const name = this.#names.get(block);
    if (!name) return;
    const on = this.#on;
    const over = camera.radius < TINY;
    const { along, half, middle } = block;
    // Letters never stand on their heads.
    const upright = along.x >= -0.01 ? 1 : -1;
    const line = name.size * 1.15;
    const tall = name.lines.length * line;
    const out = over ? 0 : half.y * camera.scale + tall / 2 + 2;
    const at = camera.toScreen(middle);
    on.save();
    on.translate(at.x + along.y * out, at.y - along.x * out);
    on.rotate(Math.atan2(along.y * upright, along.x * upright));
    on.font = `600 ${name.size}px system-ui, sans-serif`;
    on.textAlign = "center";
    on.textBaseline = "middle";
    on.lineJoin = "round";
    on.lineWidth = 3.5;
    on.strokeStyle = over ? this.colours.ground : this.colours.paper;
    on.fillStyle = over || house.blocks.length < 3 ? this.colours.ink : this.colours.faint;
    name.lines.forEach((text, n) => {
      const y = (n + 0.5) * line - tall / 2;
      on.strokeText(text, 0, y);
      on.fillText(text, 0, y);
    });
    on.restore();
  }

  /** The largest letters by which a name is no wider than its block; none where too small. */
  #fit(block: Block): Name | undefined {
    const width = 2 * block.half.x * this.camera.scale * 1.08;
    const words = (block.section.name || block.section.sectionId).split(" ");
    const largest = this.camera.radius < 1.6 * TINY ? SMALLEST : LARGEST - 1;
    for (let size = largest; size >= SMALLEST; size--) {
      this.#on.font = `600 ${size}px system-ui, sans-serif`;
      const lines = wrap(words, width, (text) => this.#on.measureText(text).width);
      if (lines && lines.length <= 3) return { lines, size };
    }
    return undefined;
  }
}

function wrap(
  words: readonly string[],
  width: number,
  measure: (text: string) => number,
): string[] | undefined {
  const lines: string[] = [];
  for (const word of words) {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
    if (lines.length && measure(longer) <= width) lines[lines.length - 1] = longer;
    else if (measure(word) <= width) lines.push(word);
    else return undefined;
  }
  return lines;
}
