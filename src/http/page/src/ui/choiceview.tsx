// Before a hold: what is chosen, standing places, and the best seats together.

import { useSignal } from "@preact/signals";
import { shown, sum, times } from "../money.ts";
import { mostOf, toggle, want } from "../sale/choice.ts";
import { holdBest, holdChosen } from "../sale/hold.ts";
import * as store from "../sale/store.ts";
import { Sample } from "./legend.tsx";
import { Stepper } from "./stepper.tsx";

const MOST_TOGETHER = 8;

export function ChoiceView() {
  const house = store.house.value;
  if (!house) return null;
  const { chosen, wanted } = store;
  const units = chosen.value.length + [...wanted.value.values()].reduce((all, q) => all + q, 0);
  const isMore = store.hold.value !== undefined;
  return (
    <>
      {house.standing.length > 0 && <Areas />}
      {units > 0 && <Chosen />}
      {units > 0 && (
        <button
          class="main"
          disabled={store.busy.value !== ""}
          onClick={() => void holdChosen()}
        >
          {isMore ? "Add to your hold" : `Hold ${units} ${units === 1 ? "place" : "places"}`}
        </button>
      )}
      {!isMore && <Best />}
      {units === 0 && !isMore && (
        <p class="hint">Choose seats on the map, or let the server find the best ones.</p>
      )}
    </>
  );
}

function Chosen() {
  const house = store.house.value;
  if (!house) return null;
  const seats = store.chosen.value.flatMap((n) => house.seats[n] ?? []);
  const areas = [...store.wanted.value].flatMap(([areaId, quantity]) => {
    const standing = house.standing.find(({ area }) => area.areaId === areaId);
    return times(house.prices[standing?.price ?? 0]?.price, quantity) ?? [];
  });
  const total = sum([...seats.map((seat) => house.prices[seat.price]?.price), ...areas]);
  return (
    <section aria-label="Your choice">
      <ul class="places">
        {seats.map((seat) => (
          <li key={seat.n}>
            <Sample look={0} price={seat.price} accessible={seat.accessible} />
            <span>{store.placeOf(seat)}</span>
            <b>{shown(house.prices[seat.price]?.price)}</b>
            <button
              class="small"
              aria-label={`Not ${store.placeOf(seat)}`}
              onClick={() => toggle(seat.n)}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
      <p class="total">
        <span>Together</span>
        <b>{shown(total)}</b>
      </p>
    </section>
  );
}

function Areas() {
  void store.pulse.value;
  const state = store.state.value;
  return (
    <section aria-label="Standing places">
      {state?.house.standing.map(({ area, price }) => {
        const name = area.name || area.areaId;
        const left = state.areas.get(area.areaId)?.available ?? 0;
        const cost = shown(state.house.prices[price]?.price);
        return (
          <div class="area" key={area.areaId}>
            <div>
              <strong>{name}</strong>
              <small>
                {cost} · {left} left
              </small>
            </div>
            <Stepper
              label={name}
              value={store.wanted.value.get(area.areaId) ?? 0}
              min={0}
              max={mostOf(state, area.areaId)}
              onChange={(quantity) => want(area.areaId, quantity)}
            />
          </div>
        );
      })}
    </section>
  );
}

function Best() {
  const house = store.house.value;
  const quantity = useSignal(4);
  const price = useSignal("");
  const section = useSignal("");
  if (!house || house.seats.length === 0) return null;
  const ask = (): void => {
    const filter = { sectionId: section.value, priceCategoryId: price.value };
    void holdBest({ quantity: quantity.value, ...filter });
  };
  const used = new Set(house.seats.map((seat) => seat.price));
  return (
    <section class="best" aria-label="Best available">
      <div class="line">
        <span>Seats together</span>
        <Stepper
          label="Seats together"
          value={quantity.value}
          min={1}
          max={Math.min(MOST_TOGETHER, house.event.maxUnitsPerHold || MOST_TOGETHER)}
          onChange={(value) => (quantity.value = value)}
        />
      </div>
      <div class="line two">
        <select
          aria-label="Price"
          value={price.value}
          onChange={(event) => (price.value = event.currentTarget.value)}
        >
          <option value="">Any price</option>
          {house.prices.map((one, n) =>
            used.has(n) ? (
              <option key={n} value={one.priceCategoryId}>
                {one.name || one.priceCategoryId} {shown(one.price)}
              </option>
            ) : null,
          )}
        </select>
        <select
          aria-label="Section"
          value={section.value}
          onChange={(event) => (section.value = event.currentTarget.value)}
        >
          <option value="">Any section</option>
          {house.sections.map((one) => (
            <option key={one.sectionId} value={one.sectionId}>
              {one.name || one.sectionId}
            </option>
          ))}
        </select>
      </div>
      <button class="other" disabled={store.busy.value !== ""} onClick={ask}>
        {quantity.value === 1 ? "Hold the best seat" : `Hold the best ${quantity.value} together`}
      </button>
    </section>
  );
}
