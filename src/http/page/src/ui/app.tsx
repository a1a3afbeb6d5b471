// The page put together.

import { useEffect, useRef } from "preact/hooks";
import * as store from "../sale/store.ts";
import { ChoiceView } from "./choiceview.tsx";
import { HoldView } from "./holdview.tsx";
import { Legend } from "./legend.tsx";
import { MapView } from "./mapview.tsx";
import { OrderView } from "./orderview.tsx";
import { OrderState } from "../gen/holdfast/v1/reservation_pb.ts";
import { SeatList } from "./seatlist.tsx";
import { TokenDialog } from "./tokendialog.tsx";
import { Top } from "./top.tsx";

export function App() {
  const state = store.state.value;
  return (
    <>
      <Top />
      <Banner />
      <main class="page">
        {state ? <MapView state={state} /> : <p class="empty">{emptyText()}</p>}
        <Side />
      </main>
      <Notice />
      <TokenDialog />
    </>
  );
}

/** Beside the map. Where a button that was pressed is gone, the keyboard goes on from here. */
function Side() {
  const side = useRef<HTMLElement>(null);
  const wasHere = useRef(false);
  const onFocusOut = (event: FocusEvent): void => {
    wasHere.current = event.relatedTarget === null;
  };
  const state = store.state.value;
  const shown = `${store.hold.value?.holdId} ${store.order.value?.state}`;
  useEffect(() => {
    if (!wasHere.current || document.activeElement !== document.body) return;
    side.current?.focus({ preventScroll: true });
  }, [shown]);
  return (
    <aside
      ref={side}
      class="panel"
      aria-label="Your places"
      tabIndex={-1}
      onFocusIn={() => (wasHere.current = true)}
      onFocusOut={onFocusOut}
    >
      <Counts />
      <Panel />
      {state && <Legend />}
      {state && <SeatList state={state} key={state.house.event.eventId} />}
    </aside>
  );
}

function emptyText(): string {
  if (store.connection.value === "opening") return "Opening the house…";
  return store.notice.value?.text ?? "There is no event to show.";
}

function Panel() {
  const order = store.order.value;
  const hold = store.hold.value;
  if (order && order.state !== OrderState.PENDING) return <OrderView order={order} />;
  if (!hold) return <ChoiceView />;
  return (
    <>
      <HoldView hold={hold} />
      {!order && <ChoiceView />}
    </>
  );
}

/** The house in four numbers. */
function Counts() {
  void store.pulse.value;
  const state = store.state.value;
  if (!state) return null;
  const [free, held, sold] = state.count();
  return (
    <dl class="counts">
      <div>
        <dt>Free</dt>
        <dd>{free.toLocaleString()}</dd>
      </div>
      <div>
        <dt>Held</dt>
        <dd>{held.toLocaleString()}</dd>
      </div>
      <div>
        <dt>Sold</dt>
        <dd>{sold.toLocaleString()}</dd>
      </div>
    </dl>
  );
}

function Banner() {
  if (store.connection.value !== "cut") return null;
  return (
    <p class="banner" role="status">
      The connection is cut. What you see may be old; it is tried again.
    </p>
  );
}

/** Said by screen readers, too: errors at once, the rest when there is time. */
function Notice() {
  const notice = store.notice.value;
  const isError = notice?.kind === "error";
  return (
    <div class="notices">
      <div role="alert">
        {isError && (
          <p key={notice.n} class="error">
            {notice.text}
          </p>
        )}
      </div>
      <div role="status">
        {notice && !isError && (
          <p key={notice.n} class={notice.kind === "quiet" ? "unseen" : notice.kind}>
            {notice.text}
          </p>
        )}
      </div>
    </div>
  );
}
