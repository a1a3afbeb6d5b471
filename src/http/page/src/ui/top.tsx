// Above the map: which event, whether what is seen is live, how many watch, and the rush.

import { open } from "../sale/watch.ts";
import * as store from "../sale/store.ts";
import { RushButton } from "./rush.tsx";

export function Top() {
  const event = store.house.value?.event;
  const events = store.events.value;
  const known = events.some(({ eventId }) => eventId === event?.eventId);
  return (
    <header class="top">
      <a class="brand" href="/" aria-label="Holdfast, seat map">
        Holdfast
      </a>
      <select
        aria-label="Event"
        value={store.eventId.value}
        onChange={(change) => void open(change.currentTarget.value)}
      >
        {event && !known && <option value={event.eventId}>{event.name}</option>}
        {events.map((one) => (
          <option key={one.eventId} value={one.eventId}>
            {one.name}
          </option>
        ))}
      </select>
      <div class="about">
        {event && <h1>{event.name}</h1>}
        {event && <p>{[event.venue, event.city, dateOf(event)].filter(Boolean).join(" · ")}</p>}
      </div>
      <Live />
      {store.settings.value?.rush && event && <RushButton eventId={event.eventId} />}
      <a class="quiet" href="/ops">
        Operations
      </a>
    </header>
  );
}

const CONNECTIONS: Record<store.Connection, string> = {
  opening: "Opening",
  live: "Live",
  cut: "Cut off",
  over: "Not live",
};

function Live() {
  const connection = store.connection.value;
  const watching = store.viewers.value;
  return (
    <p class={`live ${connection}`}>
      <i aria-hidden="true" />
      <b>{CONNECTIONS[connection]}</b>
      {connection === "live" && watching > 0 && <span>{watching} watching</span>}
    </p>
  );
}

function dateOf({ startTime }: { startTime?: { seconds: bigint } | undefined }): string {
  if (!startTime) return "";
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  return format.format(new Date(Number(startTime.seconds) * 1_000));
}
