// The last minutes of a number.

const LENGTH = 150;

export class Series {
  readonly #values: number[] = [];

  add(value: number): void {
    this.#values.push(value);
    if (this.#values.length > LENGTH) this.#values.shift();
  }

  get values(): readonly number[] {
    return this.#values;
  }

  get last(): number | undefined {
    return this.#values.at(-1);
  }
}
