// Every event with its house, and how it filled in the last minutes.

import { EventState } from "../gen/holdfast/v1/event_pb.ts";
import { Spark } from "./spark.tsx";
import * as store from "./store.ts";

const STATES: Record<EventState, string> = {
  [EventState.UNSPECIFIED]: "",
  [EventState.DRAFT]: "draft",
  [EventState.ON_SALE]: "on sale",
  [EventState.PAUSED]: "paused",
  [EventState.CLOSED]: "closed",
};

export function Events() {
  return (
    <section aria-label="Events">
      <h2>Events</h2>
      {/* What scrolls has to be within reach of the keyboard. */}
      <div class="scroll" tabIndex={0} role="region" aria-label="Events, all columns">
        <table>
          <thead>
            <tr>
              <th scope="col">Event</th>
              <th scope="col">State</th>
              <th scope="col" class="number">
                Free
              </th>
              <th scope="col" class="number">
                Held
              </th>
              <th scope="col" class="number">
                Sold
              </th>
              <th scope="col" class="number">
                Standing
              </th>
              <th scope="col">
                Last minutes <i class="key held" /> held <i class="key sold" /> sold
              </th>
            </tr>
          </thead>
          <tbody>
            {store.rows.value.map((row) => (
              <RowOf key={row.event.eventId} row={row} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function RowOf({ row }: { row: store.Row }) {
  const { event, free, held, sold, standing } = row;
  const isChosen = store.chosen.value === event.eventId;
  const choose = (): void => {
    store.holds.value = [];
    store.actions.value = [];
    store.chosen.value = event.eventId;
  };
  const lines = [
    { values: row.soldSeries.values, of: "sold" },
    { values: row.heldSeries.values, of: "held" },
  ];
  return (
    <tr class={isChosen ? "chosen" : ""}>
      <th scope="row">
        <button class="link" aria-pressed={isChosen} onClick={choose}>
          {event.name}
        </button>
        <small>{event.eventId}</small>
      </th>
      <td>{STATES[event.state]}</td>
      <td class="number">{free.toLocaleString()}</td>
      <td class="number">{held.toLocaleString()}</td>
      <td class="number">{sold.toLocaleString()}</td>
      <td class="number">
        {standing.capacity > 0 && `${standing.taken} of ${standing.capacity}`}
      </td>
      <td>
        <Spark label={`${held} held and ${sold} sold of ${event.name}`} lines={lines} />
      </td>
    </tr>
  );
}
