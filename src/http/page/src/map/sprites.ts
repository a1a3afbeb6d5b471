// Every look of a seat, drawn once for the size that seats have now, then only copied.

import type { Colours } from "./colours.ts";
import type { House } from "./house.ts";
import { drawSeat } from "./shapes.ts";
import { Look } from "./state.ts";

const LOOKS = Object.keys(Look).length;
// Below this radius, device pixels, a square is all that can be seen of a shape.
const SMALLEST = 1.6;
// The corners of the largest shape reach so far, and no neighbour's shape begins before.
const REACH = 1.2;
// Houses with more numbers than these on their seats are drawn without.
const MOST_LABELS = 1_000;
const COLUMNS = 50;

export class Sprites {
  #looks: ImageBitmap | undefined;
  #labels: ImageBitmap | undefined;
  readonly #labelAt = new Map<string, { x: number; y: number }>();
  #cell = 1;
  #made = "";
  #house: House | undefined;
  #colours: Colours | undefined;

  /** Device pixels of a seat's square. */
  get cell(): number {
    return this.#cell;
  }

  /** Gets ready for seats of a radius, in device pixels, with their numbers or without. */
  prepare(radius: number, labelled: boolean, house: House, colours: Colours): void {
    const made = `${radius.toFixed(2)} ${labelled}`;
    if (made === this.#made && house === this.#house && colours === this.#colours) return;
    this.#made = made;
    this.#house = house;
    this.#colours = colours;
    this.#looks?.close();
    this.#labels?.close();
    this.#looks = this.#labels = undefined;
    this.#cell = Math.max(Math.ceil(radius * 2), 1);
    if (radius < SMALLEST) return;
    this.#cell = Math.ceil(radius * 2 * REACH);
    this.#looks = this.#drawLooks(radius, Math.max(house.prices.length, 1), colours);
    if (labelled) this.#labels = this.#drawLabels(radius, house, colours);
  }

  /** Copies a look to where its square begins, in device pixels; what was there is gone. */
  put(on: CanvasRenderingContext2D, look: Look, seat: Seen, x: number, y: number): void {
    const cell = this.#cell;
    if (this.#looks) {
      const column = look * 2 + (seat.accessible ? 1 : 0);
      const [from, row] = [column * cell, seat.price * cell];
      on.drawImage(this.#looks, from, row, cell, cell, x, y, cell, cell);
      if (look === Look.free && !seat.accessible) this.#putLabel(on, seat.label, x, y);
      return;
    }
    if (!this.#colours) return;
    if (look === Look.sold || look === Look.blocked) {
      const gap = Math.floor(cell / 3);
      on.fillStyle = this.#colours.ground;
      on.fillRect(x, y, cell, cell);
      on.fillStyle = this.#colours.sold;
      on.fillRect(x, y, cell - gap, cell - gap);
      return;
    }
    on.fillStyle = plain(look, seat.price, this.#colours);
    on.fillRect(x, y, cell, cell);
  }

  #putLabel(on: CanvasRenderingContext2D, label: string, x: number, y: number): void {
    const at = this.#labels && this.#labelAt.get(label);
    if (at === undefined || !this.#labels) return;
    const cell = this.#cell;
    on.drawImage(this.#labels, at.x, at.y, cell, cell, x, y, cell, cell);
  }

  #drawLooks(radius: number, prices: number, colours: Colours): ImageBitmap | undefined {
    const cell = this.#cell;
    const sheet = new OffscreenCanvas(cell * LOOKS * 2, cell * prices);
    const on = sheet.getContext("2d");
    if (!on) return undefined;
    for (let look = 0; look < LOOKS * 2; look++) {
      for (let price = 0; price < prices; price++) {
        const [x, y] = [(look + 0.5) * cell, (price + 0.5) * cell];
        // Ground below each: it covers what the seat was before, and no neighbour.
        on.fillStyle = colours.ground;
        on.beginPath();
        on.arc(x, y, radius * REACH, 0, 2 * Math.PI);
        on.fill();
        const hue = colours.hues[price % colours.hues.length] ?? colours.ink;
        drawSeat(on, (look >> 1) as Look, hue, look % 2 === 1, colours, [x, y, radius]);
      }
    }
    return sheet.transferToImageBitmap();
  }

  #drawLabels(radius: number, house: House, colours: Colours): ImageBitmap | undefined {
    const cell = this.#cell;
    const labels = [...new Set(house.seats.map(({ label }) => label))];
    this.#labelAt.clear();
    if (labels.length > MOST_LABELS) return undefined;
    const sheet = new OffscreenCanvas(cell * COLUMNS, cell * Math.ceil(labels.length / COLUMNS));
    const on = sheet.getContext("2d");
    if (!on) return undefined;
    on.font = `600 ${Math.round(radius * 0.95)}px system-ui, sans-serif`;
    on.textAlign = "center";
    on.textBaseline = "middle";
    on.fillStyle = colours.ground;
    labels.forEach((label, n) => {
      const at = { x: (n % COLUMNS) * cell, y: Math.floor(n / COLUMNS) * cell };
      this.#labelAt.set(label, at);
      on.fillText(label, at.x + cell / 2, at.y + cell / 2 + 0.5, radius * 1.8);
    });
    return sheet.transferToImageBitmap();
  }
}

/** What of a seat is to be seen. */
interface Seen {
  readonly price: number;
  readonly accessible: boolean;
  readonly label: string;
}

function plain(look: Look, price: number, colours: Colours): string {
  switch (look) {
    case Look.held:
      return colours.held;
    case Look.chosen:
      return colours.ink;
    case Look.mine:
      return colours.mine;
    case Look.bought:
      return colours.bought;
    default:
      return colours.hues[price % colours.hues.length] ?? colours.ink;
  }
}
