// One phone: a response, and a position in what its event has told.

import type { ServerResponse } from "node:http";
import { HEARTBEAT_FRAME, retryFrame } from "./frames.js";
import { HEARTBEAT_MS, RETRY_MS, STALLED_MS } from "./limits.js";
import type { Ring } from "./ring.js";

/**
 * Nothing waits for a phone but what its socket has taken: what it is to be told next is
 * in the ring, once for all phones. A phone whose position has left the ring, or that
 * takes nothing for `STALLED_MS`, is cut off. It comes back by itself.
 */
export class Phone {
  /** The number in the ring of what it is to be told next. */
  #next: number;
  #isFull = false;
  #wroteAt = Date.now();

  constructor(
    readonly viewerId: string,
    private readonly response: ServerResponse,
    private readonly ring: Ring,
    begin: { frame?: Buffer | undefined; next: number },
    private readonly onDropped: () => void,
  ) {
    this.#next = begin.next;
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    });
    response.on("drain", () => {
      this.#isFull = false;
      this.#wroteAt = Date.now();
      this.tell();
    });
    this.send(retryFrame(RETRY_MS * (1 + 2 * Math.random())));
    if (begin.frame) this.send(begin.frame);
    this.tell();
  }

  /** Passes on what the phone lacks, as long as its socket takes it. */
  tell(): void {
    this.#next = Math.max(this.#next, this.ring.latestSnapshot);
    while (!this.#isFull && this.#next < this.ring.end) {
      const frame = this.ring.at(this.#next);
      if (!frame) return this.#drop();
      this.#next += 1;
      this.send(frame);
    }
  }

  /** Writes beside the ring: to a phone that is behind, nothing. */
  send(frame: Buffer): void {
    if (this.#isFull || this.response.destroyed) return;
    this.#isFull = !this.response.write(frame);
    this.#wroteAt = Date.now();
  }

  /** To be called once a second or so. */
  look(now: number): void {
    const silence = now - this.#wroteAt;
    const hasLeftTheRing = this.#next < this.ring.end && !this.ring.at(this.#next);
    if (this.#isFull && (silence > STALLED_MS || hasLeftTheRing)) this.#drop();
    else if (silence > HEARTBEAT_MS) this.send(HEARTBEAT_FRAME);
  }

  /** Ends it in good order: the phone comes back, here or elsewhere. */
  end(): void {
    this.response.end();
  }

  #drop(): void {
    this.onDropped();
    this.response.destroy();
  }
}
