// One event: one stream from Holdfast, however many phones.

import type { ServerResponse } from "node:http";
import {
  HoldfastError,
  House,
  streamSeatUpdates,
  type Connection,
  type Told,
} from "holdfast-client";
import { changesFrame, snapshotFrame, viewersFrame } from "./frames.js";
import { RING_BYTES, RING_ENTRIES } from "./limits.js";
import { Phone } from "./phone.js";
import { Ring } from "./ring.js";

export class FollowedEvent {
  readonly phones = new Set<Phone>();
  readonly #ring = new Ring(RING_ENTRIES, RING_BYTES);
  readonly #house = new House();
  readonly #stop = new AbortController();
  readonly #begun: Promise<void>;
  #token = "";
  #viewers: Buffer | undefined;
  /** The house as it is at `#token`, if anybody has asked for it since. */
  #snapshot: Buffer | undefined;

  /** `onEnd` is called when there is no stream any more, for whatever reason. */
  constructor(
    connection: Connection,
    readonly eventId: string,
    private readonly onDropped: () => void,
    onEnd: (event: FollowedEvent) => void,
  ) {
    this.#begun = new Promise((resolve, reject) => {
      this.#follow(connection, resolve)
        // It had an end before it began, such as an event that is not there.
        .then(() => reject(new HoldfastError(14, "not followed any more")), reject)
        .finally(() => {
          onEnd(this);
          for (const phone of this.phones) phone.end();
        });
    });
    // Whoever waits for it hears of it; nobody may.
    this.#begun.catch(() => undefined);
  }

  /** Resolves when the house is known; rejects with HoldfastError where it will not be. */
  begun(): Promise<void> {
    return this.#begun;
  }

  /** Tells a phone everything from now on, or from where it was. */
  add(viewerId: string, response: ServerResponse, lastEventId: string | undefined): Phone {
    const next = lastEventId ? this.#ring.after(lastEventId) : undefined;
    const begin =
      next === undefined
        ? { frame: this.#wholeHouse(), next: this.#ring.end }
        : { next };
    const phone = new Phone(viewerId, response, this.#ring, begin, this.onDropped);
    if (this.#viewers) phone.send(this.#viewers);
    this.phones.add(phone);
    return phone;
  }

  /** Heartbeats, and an end to phones that take nothing. */
  look(now: number): void {
    for (const phone of this.phones) phone.look(now);
  }

  stop(): void {
    this.#stop.abort();
  }

  async #follow(connection: Connection, begun: () => void): Promise<void> {
    const options = { signal: this.#stop.signal };
    for await (const told of streamSeatUpdates(connection, this.eventId, options)) {
      this.#take(told);
      if (told.kind === "snapshot") begun();
    }
  }

  #take(told: Told): void {
    if (told.kind === "viewers") {
      this.#viewers = viewersFrame(told.active);
      for (const phone of this.phones) phone.send(this.#viewers);
      return;
    }
    this.#house.apply(told);
    this.#token = told.resumeToken;
    this.#snapshot = undefined;
    if (told.kind === "changes") {
      this.#ring.push(told.resumeToken, changesFrame(told));
    } else {
      this.#ring.restart(told.resumeToken, this.#wholeHouse());
    }
    for (const phone of this.phones) phone.tell();
  }

  #wholeHouse(): Buffer {
    this.#snapshot ??= snapshotFrame(this.#house, this.#token);
    return this.#snapshot;
  }
}
