// Says which phones are there, so that the event counts them.

import { PresenceService, type Connection } from "holdfast-client";
import { PRESENCE_CALLS } from "./limits.js";

interface Viewer {
  readonly eventId: string;
  readonly viewerId: string;
}

/**
 * What fails is not repeated: the next round comes soon, and nothing depends on it. Of a
 * viewer only what is so now is told, and by one call at a time: a leave never overtakes
 * the heartbeat before it.
 */
export class Presence {
  /** Who is to be told of, by event and viewer. */
  readonly #waiting = new Map<string, Viewer & { isThere: boolean }>();
  /** Whom a call tells of. */
  readonly #told = new Set<string>();

  constructor(private readonly connection: Connection) {}

  /** Whether it is still at an earlier round. */
  get isBusy(): boolean {
    return this.#waiting.size > 0;
  }

  isThere({ eventId, viewerId }: Viewer): void {
    this.#add({ eventId, viewerId, isThere: true });
  }

  hasLeft({ eventId, viewerId }: Viewer): void {
    this.#add({ eventId, viewerId, isThere: false });
  }

  #add(viewer: Viewer & { isThere: boolean }): void {
    // Neither id has a blank.
    const key = `${viewer.eventId} ${viewer.viewerId}`;
    this.#waiting.set(key, viewer);
    if (this.#told.size < PRESENCE_CALLS && !this.#told.has(key)) void this.#work(key);
  }

  /** Tells of one, and then of others for as long as any wait. */
  async #work(first: string): Promise<void> {
    const { heartbeat, leave } = PresenceService.method;
    for (let key: string | undefined = first; key !== undefined; key = this.#next()) {
      const viewer = this.#waiting.get(key);
      if (!viewer) continue;
      this.#waiting.delete(key);
      this.#told.add(key);
      const { isThere, ...request } = viewer;
      const call = isThere
        ? this.connection.unary(heartbeat, request)
        : this.connection.unary(leave, request);
      await call.catch(() => undefined);
      this.#told.delete(key);
    }
  }

  /** Who has waited longest; whom a call tells of waits for its end. */
  #next(): string | undefined {
    for (const key of this.#waiting.keys()) if (!this.#told.has(key)) return key;
    return undefined;
  }
}
