// The chosen event's open holds, the oldest first, and what operators did to holds.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { there, TIMEOUT_MS, type Calls } from "../calls.ts";
import { Refusal } from "../errors.ts";
import { OperatorActionKind } from "../gen/holdfast/v1/operator_pb.ts";
import { HoldState, type Hold } from "../gen/holdfast/v1/reservation_pb.ts";
import { tab } from "../settings.ts";
import * as store from "./store.ts";
import { ago } from "./tiles.tsx";

const MOST_SHOWN = 50;

export function Holds({ calls }: { calls: Calls }) {
  void store.looked.value;
  const ending = useSignal<Hold | undefined>(undefined);
  const isCut = store.moreHolds.value;
  const holds = store.holds.value.toSorted((one, other) => madeAt(one) - madeAt(other));
  return (
    <section aria-label="Open holds">
      <h2>
        Open holds of {nameOf(store.chosen.value)}{" "}
        <small>
          {holds.length}
          {isCut && " and more"}
        </small>
      </h2>
      {holds.length === 0 ? (
        <p class="hint">There are none.</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Open holds, all columns">
          <table>
            <thead>
              <tr>
                <th scope="col">Holder</th>
                <th scope="col">Places</th>
                <th scope="col" class="number">
                  Age
                </th>
                <th scope="col" class="number">
                  Ends in
                </th>
                <th scope="col">Order</th>
                <th scope="col">
                  <span class="unseen">What to do</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {holds.slice(0, MOST_SHOWN).map((hold) => (
                <RowOf key={hold.holdId} hold={hold} onEnd={() => (ending.value = hold)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {holds.length > MOST_SHOWN && (
        <p class="hint">
          The {MOST_SHOWN} oldest are shown{isCut && `, of the ${holds.length} that end first`}.
        </p>
      )}
      {ending.value && (
        <Ending calls={calls} hold={ending.value} close={() => (ending.value = undefined)} />
      )}
    </section>
  );
}

function RowOf({ hold, onEnd }: { hold: Hold; onEnd: () => void }) {
  const now = store.now();
  const endsIn = (timestampMs(there(hold.expireTime)) - now) / 1_000;
  const areas = hold.areas.map(({ areaId, quantity }) => `${quantity} × ${areaId}`);
  const places = [...hold.seatIds.slice(0, 4), ...areas].join(", ");
  const more = hold.seatIds.length > 4 ? ` and ${hold.seatIds.length - 4} more` : "";
  const paying = hold.state === HoldState.CONFIRMING ? "being paid" : "";
  return (
    <tr>
      <th scope="row">
        {hold.holderId}
        <small>{hold.holdId.slice(0, 8)}</small>
      </th>
      <td>
        {places}
        {more}
      </td>
      <td class="number">{ago((now - madeAt(hold)) / 1_000)}</td>
      <td class="number">{endsIn <= 0 ? "now" : ago(endsIn)}</td>
      <td>{paying || hold.orderId.slice(0, 8)}</td>
      <td>
        <button class="little" onClick={onEnd} aria-label={`End the hold of ${hold.holderId}`}>
          End…
        </button>
      </td>
    </tr>
  );
}

/** Asks who ends a hold and why: both are on record. */
function Ending({ calls, hold, close }: { calls: Calls; hold: Hold; close: () => void }) {
  const trouble = useSignal("");
  const isAsking = useSignal(false);
  const form = useRef<HTMLFormElement>(null);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (isAsking.value) return;
    isAsking.value = true;
    const said = new FormData(there(form.current ?? undefined));
    const [actor, reason] = [String(said.get("actor")), String(said.get("reason"))];
    tab.set("actor", actor);
    try {
      const { eventId, holdId } = hold;
      const request = { eventId, holdId, actor, reason };
      await calls.operator.forceReleaseHold(request, { timeoutMs: TIMEOUT_MS });
      store.holds.value = store.holds.value.filter((other) => other.holdId !== holdId);
      close();
    } catch (failure) {
      trouble.value = Refusal.of(failure).told;
    } finally {
      isAsking.value = false;
    }
  };
  return (
    <dialog ref={show} onClose={close}>
      <form ref={form} onSubmit={(event) => void submit(event)}>
        <h2>End the hold of {hold.holderId}?</h2>
        <p>Its places are on sale again at once.</p>
        <label for="actor">Who does it</label>
        <input id="actor" name="actor" required maxLength={200} value={tab.get("actor") ?? ""} />
        <label for="reason">Why</label>
        <input id="reason" name="reason" required maxLength={200} />
        {trouble.value && <p class="error">{trouble.value}</p>}
        <div class="line two">
          <button type="button" class="other" onClick={close}>
            Leave it
          </button>
          <button class="main" disabled={isAsking.value}>
            End it
          </button>
        </div>
      </form>
    </dialog>
  );
}

const KINDS: Record<OperatorActionKind, string> = {
  [OperatorActionKind.UNSPECIFIED]: "",
  [OperatorActionKind.RELEASE]: "ended",
  [OperatorActionKind.EXTEND]: "extended",
  [OperatorActionKind.REASSIGN]: "reassigned",
};

export function Actions() {
  const actions = store.actions.value;
  if (actions.length === 0) return null;
  return (
    <section aria-label="What operators did">
      <h2>What operators did</h2>
      <ul class="actions">
        {actions.map((action) => (
          <li key={`${action.holdId} ${action.kind} ${action.createTime?.nanos}`}>
            <b>{action.actor}</b> {KINDS[action.kind]} the hold {action.holdId.slice(0, 8)} of{" "}
            {action.holderId}: {action.reason}
          </li>
        ))}
      </ul>
    </section>
  );
}

function madeAt(hold: Hold): number {
  return timestampMs(there(hold.createTime));
}

function nameOf(eventId: string): string {
  return store.rows.value.find(({ event }) => event.eventId === eventId)?.event.name ?? eventId;
}

function show(dialog: HTMLDialogElement | null): void {
  if (dialog && !dialog.open) dialog.showModal();
}
