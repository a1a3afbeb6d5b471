// GET /events/EVENT/seats: everything that happens to an event's seats, for phones.

import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { HoldfastError, type Connection } from "holdfast-client";
import { FollowedEvent } from "./followed_event.js";
import { DRAIN_MS, LINGER_MS, MAX_EVENTS, MAX_PHONES, PRESENCE_MS } from "./limits.js";
import { Presence } from "./presence.js";

const LOOK_MS = 1_000;
const SEATS = /^\/events\/([A-Za-z0-9._:-]{1,64})\/seats$/;
const VIEWER = /^[A-Za-z0-9._:-]{1,64}$/;
const NOT_FOUND = 5;

export class Backend {
  readonly server = createServer((request, response) => {
    this.#serve(request, response).catch(() => response.destroy());
  });
  readonly #events = new Map<string, FollowedEvent>();
  readonly #ends = new Map<FollowedEvent, NodeJS.Timeout>();
  readonly #presence: Presence;
  readonly #timers: NodeJS.Timeout[];
  #phones = 0;
  #dropped = 0;
  #isStopping = false;

  constructor(private readonly connection: Connection) {
    this.#presence = new Presence(connection);
    this.#timers = [
      setInterval(() => this.#look(), LOOK_MS),
      setInterval(() => this.#tellPresence(), PRESENCE_MS),
    ];
  }

  /** Ends all phones' streams in good order; they come back to another process. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#timers.forEach(clearInterval);
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const event of this.#events.values()) event.stop();
    this.server.closeIdleConnections();
    const late = setTimeout(() => this.server.closeAllConnections(), DRAIN_MS);
    await closed;
    clearTimeout(late);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://here");
    const eventId = SEATS.exec(url.pathname)?.[1];
    if (request.method !== "GET") return answer(response, 405, "GET only");
    if (url.pathname === "/livez") return answer(response, 200, "ok");
    if (url.pathname === "/metrics") return answer(response, 200, this.#metrics());
    if (!eventId) return answer(response, 404, "there is /events/EVENT/seats");
    const viewerId = url.searchParams.get("viewer") ?? randomUUID();
    if (!VIEWER.test(viewerId)) return answer(response, 400, "no viewer id");
    const event = this.#event(eventId);
    if (this.#isStopping || !event || this.#phones >= MAX_PHONES) return later(response);
    try {
      await event.begun();
    } catch (failure) {
      const error = HoldfastError.of(failure);
      if (error.code === NOT_FOUND) return answer(response, 404, "no such event");
      return later(response);
    }
    if (response.destroyed || this.#isStopping) return later(response);
    this.#add(event, viewerId, request, response);
  }

  #add(
    event: FollowedEvent,
    viewerId: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const lastEventId = request.headers["last-event-id"];
    const id = Array.isArray(lastEventId) ? undefined : lastEventId;
    const phone = event.add(viewerId, response, id);
    const viewer = { eventId: event.eventId, viewerId };
    this.#phones += 1;
    this.#presence.isThere(viewer);
    response.on("close", () => {
      event.phones.delete(phone);
      this.#phones -= 1;
      this.#presence.hasLeft(viewer);
      if (event.phones.size === 0) this.#linger(event);
    });
  }

  /** The stream of an event, shared; nothing where there are too many. */
  #event(eventId: string): FollowedEvent | undefined {
    const known = this.#events.get(eventId);
    if (known || this.#isStopping || this.#events.size >= MAX_EVENTS) return known;
    const onDropped = (): void => void (this.#dropped += 1);
    const event = new FollowedEvent(this.connection, eventId, onDropped, (ended) => {
      if (this.#events.get(eventId) === ended) this.#events.delete(eventId);
      clearTimeout(this.#ends.get(ended));
      this.#ends.delete(ended);
    });
    this.#events.set(eventId, event);
    // Its first phone may go before it comes.
    this.#linger(event);
    return event;
  }

  /** Phones that lose their way come back: the stream stays for a while after the last. */
  #linger(event: FollowedEvent): void {
    clearTimeout(this.#ends.get(event));
    this.#ends.delete(event);
    if (this.#events.get(event.eventId) !== event) return;
    const end = setTimeout(() => {
      this.#ends.delete(event);
      if (event.phones.size > 0) return;
      if (this.#events.get(event.eventId) === event) this.#events.delete(event.eventId);
      event.stop();
    }, LINGER_MS);
    this.#ends.set(event, end.unref());
  }

  #look(): void {
    const now = Date.now();
    for (const event of this.#events.values()) event.look(now);
  }

  #tellPresence(): void {
    if (this.#presence.isBusy) return;
    for (const { eventId, phones } of this.#events.values()) {
      for (const { viewerId } of phones) this.#presence.isThere({ eventId, viewerId });
    }
  }

  #metrics(): string {
    return [
      `sse_phones ${this.#phones}`,
      `sse_phones_dropped_total ${this.#dropped}`,
      `sse_events_followed ${this.#events.size}\n`,
    ].join("\n");
  }
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain" }).end(text);
}

function later(response: ServerResponse): void {
  response.writeHead(503, { "retry-after": "2" }).end("come back later");
}
