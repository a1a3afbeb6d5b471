// Which seat is at a point, and which is next in a direction.

import type { House, Point } from "./house.ts";

export class Grid {
  readonly #cells = new Map<string, number[]>();
  readonly #size: number;

  constructor(readonly house: House) {
    this.#size = house.pitch * 4;
    for (const { n, x, y } of house.seats) {
      const key = this.#key(x, y);
      const cell = this.#cells.get(key);
      if (cell) cell.push(n);
      else this.#cells.set(key, [n]);
    }
  }

  /** The nearest seat within `reach` metres. */
  at(point: Point, reach: number): number | undefined {
    let found: number | undefined;
    let nearest = reach;
    const around = Math.ceil(reach / this.#size);
    for (let i = -around; i <= around; i++) {
      for (let j = -around; j <= around; j++) {
        const key = this.#key(point.x + i * this.#size, point.y + j * this.#size);
        for (const n of this.#cells.get(key) ?? []) {
          const seat = this.house.seats[n]!;
          const away = Math.hypot(seat.x - point.x, seat.y - point.y);
          if (away > nearest) continue;
          nearest = away;
          found = n;
        }
      }
    }
    return found;
  }

  /**
   * The next seat that way: how far it is counts, and aside counts three times. Aside of
   * two steps ahead is not that way any more.
   */
  next(from: number, way: Point): number | undefined {
    const { seats } = this.house;
    const here = seats[from];
    if (!here) return undefined;
    let found: number | undefined;
    let best = Infinity;
    for (const seat of seats) {
      const [dx, dy] = [seat.x - here.x, seat.y - here.y];
      const ahead = dx * way.x + dy * way.y;
      const aside = Math.abs(dx * way.y) + Math.abs(dy * way.x);
      if (ahead < this.house.pitch * 0.3 || aside > ahead * 2) continue;
      const cost = ahead + 3 * aside;
      if (cost >= best) continue;
      best = cost;
      found = seat.n;
    }
    return found;
  }

  #key(x: number, y: number): string {
    return `${Math.floor(x / this.#size)} ${Math.floor(y / this.#size)}`;
  }
}
