// What an event has told last, for phones that fall behind or come back.

interface Entry {
  readonly token: string;
  readonly frame: Buffer;
}

export class Ring {
  #entries: Entry[] = [];
  #begin = 0;
  #bytes = 0;
  #latestSnapshot = 0;
  /** The token before the first entry. */
  #before: string | undefined;

  constructor(
    private readonly maxEntries: number,
    private readonly maxBytes: number,
  ) {}

  /** The number of the entry that comes next. */
  get end(): number {
    return this.#begin + this.#entries.length;
  }

  /** The number of the latest snapshot: what came before it is to be forgotten. */
  get latestSnapshot(): number {
    return this.#latestSnapshot;
  }

  /** Nothing where it is not kept any more. */
  at(number: number): Buffer | undefined {
    return this.#entries[number - this.#begin]?.frame;
  }

  push(token: string, frame: Buffer): void {
    this.#entries.push({ token, frame });
    this.#bytes += frame.length;
    while (this.#entries.length > this.maxEntries || this.#bytes > this.maxBytes) {
      // The last one stays, however long it is. There are some thousand at most: moving
      // them costs little beside telling them.
      const oldest = this.#entries.length > 1 ? this.#entries.shift() : undefined;
      if (!oldest) break;
      this.#begin += 1;
      this.#bytes -= oldest.frame.length;
      this.#before = oldest.token;
    }
  }

  /** Forgets all but this. */
  restart(token: string, snapshot: Buffer): void {
    this.#begin = this.end;
    this.#entries = [];
    this.#bytes = 0;
    this.#before = undefined;
    this.#latestSnapshot = this.#begin;
    this.push(token, snapshot);
  }

  /** What to tell next after a token; nothing where it is not known any more. */
  after(token: string): number | undefined {
    if (token === this.#before) return this.#begin;
    const at = this.#entries.findLastIndex((entry) => entry.token === token);
    return at < 0 ? undefined : this.#begin + at + 1;
  }
}
