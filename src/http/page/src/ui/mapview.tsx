// The map with what surrounds it: zoom buttons, a tip beside the mouse, and the keyboard.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Point } from "../map/house.ts";
import { SeatMap } from "../map/seatmap.ts";
import type { State } from "../map/state.ts";
import { probe } from "../probe.ts";
import { onFlash, toggle, want } from "../sale/choice.ts";
import * as store from "../sale/store.ts";
import { describe } from "./describe.ts";
import { keysFor } from "./keys.ts";

export function MapView({ state }: { state: State }) {
  const element = useRef<HTMLDivElement>(null);
  const below = useRef<HTMLCanvasElement>(null);
  const above = useRef<HTMLCanvasElement>(null);
  const map = useRef<SeatMap>(null);
  const cursor = useSignal<number | undefined>(undefined);
  const tip = useSignal<{ n: number; at: Point } | undefined>(undefined);

  useEffect(() => {
    if (!element.current || !below.current || !above.current) return undefined;
    const made = new SeatMap(element.current, below.current, above.current, state, {
      onSeat: (n) => {
        // The keyboard goes on from here.
        cursor.value = n;
        toggle(n);
      },
      onArea: (areaId) => want(areaId, (store.wanted.value.get(areaId) ?? 0) + 1),
      onHover: (n, at) => (tip.value = n === undefined || !at ? undefined : { n, at }),
    });
    map.current = made;
    probe(made);
    onFlash((seats) => {
      store.counted.flashes += seats.length;
      made.flash(seats);
    });
    return () => made.close();
  }, []);
  useEffect(() => {
    cursor.value = tip.value = undefined;
    map.current?.show(state);
  }, [state]);

  const onKeyDown = (event: KeyboardEvent): void => {
    if (map.current) keysFor(map.current, cursor)(event);
  };
  // Whoever tabs here by keyboard begins at the first seat; a click has no need of it.
  const onFocus = (): void => {
    if (!element.current?.matches(":focus-visible")) return;
    cursor.value ??= state.house.seats.length ? 0 : undefined;
    if (map.current) map.current.cursor = cursor.value;
  };
  const onBlur = (): void => {
    if (map.current) map.current.cursor = undefined;
  };
  return (
    <div class="map">
      <div
        ref={element}
        class="canvas"
        tabIndex={0}
        role="listbox"
        aria-multiselectable="true"
        aria-label="Seats. Arrow keys go from seat to seat, Enter chooses."
        aria-activedescendant={cursor.value === undefined ? undefined : `seat-${cursor.value}`}
        onKeyDown={onKeyDown}
        onFocus={onFocus}
        onBlur={onBlur}
      >
        <canvas ref={below} aria-hidden="true" />
        <canvas ref={above} aria-hidden="true" />
        <Cursor state={state} n={cursor.value ?? 0} />
      </div>
      {tip.value && <Tip state={state} {...tip.value} />}
      <div class="zoom" role="group" aria-label="Zoom">
        <button aria-label="Nearer" onClick={() => map.current?.zoomBy(1.5)}>
          +
        </button>
        <button aria-label="Farther" onClick={() => map.current?.zoomBy(1 / 1.5)}>
          −
        </button>
        <button aria-label="The whole house" onClick={() => map.current?.fit()}>
          ⤢
        </button>
      </div>
    </div>
  );
}

/** What a screen reader says of the seat under the keyboard's cursor. */
function Cursor({ state, n }: { state: State; n: number }) {
  // Reads again when something has changed.
  void store.pulse.value;
  const isChosen = store.chosen.value.includes(n);
  return (
    <div class="unseen" role="option" id={`seat-${n}`} key={n} aria-selected={isChosen}>
      {describe(state, n)}
    </div>
  );
}

function Tip({ state, n, at }: { state: State; n: number; at: Point }) {
  void store.pulse.value;
  const [place, ...rest] = describe(state, n).split("; ");
  return (
    <div class="tip" style={{ left: `${at.x}px`, top: `${at.y}px` }} aria-hidden="true">
      <strong>{place}</strong>
      <span>{rest.join(" · ")}</span>
    </div>
  );
}
