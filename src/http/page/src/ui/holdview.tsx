// A hold: what it has, how long it lasts, and what can be done with it.

import { OrderState, type Hold } from "../gen/holdfast/v1/reservation_pb.ts";
import { shown, sum, times } from "../money.ts";
import { canExtendBy, extend, release } from "../sale/hold.ts";
import { cancel, checkOut, confirm } from "../sale/order.ts";
import * as store from "../sale/store.ts";
import { Sample } from "./legend.tsx";

export function HoldView({ hold }: { hold: Hold }) {
  const order = store.order.value;
  const waits = order?.state === OrderState.PENDING;
  const busy = store.busy.value !== "";
  return (
    <section class="hold" aria-label="Your hold">
      <Countdown />
      <Held hold={hold} canRelease={!waits && !busy} />
      {waits ? (
        <>
          <p class="hint">
            Order {order.orderId.slice(0, 8)} waits for its payment of {shown(order.total)}. In a
            shop a payment provider would confirm it; here you do.
          </p>
          <button class="main" disabled={busy} onClick={() => void confirm()}>
            Confirm the payment
          </button>
          <button class="other" disabled={busy} onClick={() => void cancel()}>
            Cancel the order
          </button>
        </>
      ) : (
        <>
          <button class="main" disabled={busy} onClick={() => void checkOut()}>
            Check out
          </button>
          <div class="line two">
            <ExtendButton hold={hold} busy={busy} />
            <button class="other" disabled={busy} onClick={() => void release()}>
              Release
            </button>
          </div>
        </>
      )}
    </section>
  );
}

function ExtendButton({ hold, busy }: { hold: Hold; busy: boolean }) {
  void store.left.value;
  const can = canExtendBy(hold) > 1_000;
  return (
    <button
      class="other"
      disabled={busy || !can}
      title={can ? "" : "It has all the time that it may have now"}
      onClick={() => void extend()}
    >
      More time
    </button>
  );
}

function Countdown() {
  const seconds = Math.ceil(store.left.value / 1_000);
  const text = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  return (
    <p class={seconds <= 30 ? "countdown soon" : "countdown"}>
      <span>Yours for</span>
      <b role="timer" aria-label="Time left">
        {text}
      </b>
    </p>
  );
}

function Held({ hold, canRelease }: { hold: Hold; canRelease: boolean }) {
  const state = store.state.value;
  if (!state) return null;
  const { house } = state;
  const seats = state.numbersOf(hold.seatIds).flatMap((n) => house.seats[n] ?? []);
  const areas = hold.areas.map(({ areaId, quantity }) => {
    const standing = house.standing.find(({ area }) => area.areaId === areaId);
    const price = times(house.prices[standing?.price ?? 0]?.price, quantity);
    return { areaId, quantity, price, name: standing?.area.name || areaId };
  });
  const total = sum([
    ...seats.map((seat) => house.prices[seat.price]?.price),
    ...areas.map(({ price }) => price),
  ]);
  return (
    <>
      <ul class="places">
        {seats.map((seat) => (
          <li key={seat.id}>
            <Sample look={5} />
            <span>{store.placeOf(seat)}</span>
            <b>{shown(house.prices[seat.price]?.price)}</b>
            <GiveBack
              name={store.placeOf(seat)}
              can={canRelease}
              how={() => release({ seatId: seat.id })}
            />
          </li>
        ))}
        {areas.map(({ areaId, quantity, price, name }) => (
          <li key={areaId}>
            <Sample look={5} />
            <span>
              {quantity} × {name}
            </span>
            <b>{shown(price)}</b>
            <GiveBack name={name} can={canRelease} how={() => release({ areaId })} />
          </li>
        ))}
      </ul>
      <p class="total">
        <span>Together</span>
        <b>{shown(total)}</b>
      </p>
    </>
  );
}

function GiveBack(props: { name: string; can: boolean; how: () => Promise<void> }) {
  return (
    <button
      class="small"
      disabled={!props.can}
      aria-label={`Give back ${props.name}`}
      onClick={() => void props.how()}
    >
      ×
    </button>
  );
}
