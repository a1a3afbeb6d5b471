// The house as a list, for whom a map is no help: sections, their rows, their seats.

import { useSignal } from "@preact/signals";
import type { Section } from "../gen/holdfast/v1/event_pb.ts";
import { Look, type State } from "../map/state.ts";
import { toggle } from "../sale/choice.ts";
import * as store from "../sale/store.ts";
import { describe } from "./describe.ts";

export function SeatList({ state }: { state: State }) {
  const open = useSignal(false);
  return (
    <details
      class="list"
      onToggle={(event) => (open.value = (event.currentTarget as HTMLDetailsElement).open)}
    >
      <summary>All seats as a list</summary>
      {open.value &&
        state.house.sections.map((section) => (
          <SectionOf key={section.sectionId} state={state} section={section} />
        ))}
    </details>
  );
}

function SectionOf({ state, section }: { state: State; section: Section }) {
  const open = useSignal(false);
  void store.pulse.value;
  const seats = state.house.seats.filter((seat) => seat.section === section);
  const free = seats.filter(({ n }) => state.isFree(n)).length;
  return (
    <details onToggle={(event) => (open.value = (event.currentTarget as HTMLDetailsElement).open)}>
      <summary>
        {section.name || section.sectionId} <small>{free} free</small>
      </summary>
      {open.value && section.rows.map((row) => <RowOf key={row.rowId} state={state} row={row} />)}
    </details>
  );
}

function RowOf({ state, row }: { state: State; row: Section["rows"][number] }) {
  void store.pulse.value;
  void store.chosen.value;
  const numbers = state.numbersOf(row.seats.map(({ seatId }) => seatId));
  return (
    <div class="row" role="group" aria-label={`Row ${row.rowId}`}>
      <span aria-hidden="true">{row.rowId}</span>
      {numbers.map((n) => {
        const look = state.lookOf(n);
        return (
          <button
            key={n}
            class={`seat look-${look}`}
            aria-pressed={look === Look.chosen}
            aria-label={describe(state, n)}
            onClick={() => toggle(n)}
          >
            {state.house.seats[n]?.label}
          </button>
        );
      })}
    </div>
  );
}
