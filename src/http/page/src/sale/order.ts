// The order: made of the hold, paid by whoever may confirm, and its tickets.

import { repeat, there } from "../calls.ts";
import { OrderState, type Hold, type Order } from "../gen/holdfast/v1/reservation_pb.ts";
import { tab } from "../settings.ts";
import { ask, forgetHold, nameOf } from "./hold.ts";
import * as store from "./store.ts";

/** Makes an order of the hold, at the prices of now. */
export async function checkOut(): Promise<void> {
  const { eventId, holdId, holderId } = there(store.hold.value);
  await ask("Checking out", async () => {
    const request = { eventId, holdId, holderId, paymentProvider: "manual" };
    const answer = await repeat((o) => store.calls().checkout.createOrder(request, o));
    show(there(answer.order));
    const hold = store.hold.value;
    // The hold lasts as long as its order may wait.
    if (hold && answer.holdExpireTime) {
      store.hold.value = { ...hold, expireTime: answer.holdExpireTime };
    }
    store.tell("Your order is made; confirm it to pay", "good");
  });
}

/** Says that the order was paid: what a service of yours does, done here by hand. */
export async function confirm(): Promise<void> {
  const { eventId, holdId, holderId } = there(store.hold.value);
  await ask("Confirming", async () => {
    // The hold's own id pays for it and for no other, however often it is said.
    const request = { eventId, holdId, holderId, paymentReference: `page-${holdId}` };
    const answer = await repeat((o) => store.calls().reservation.confirm(request, o));
    const paid = there(answer.order);
    forgetHold();
    show(paid);
    const isPaid = paid.state === OrderState.PAID;
    store.tell(isPaid ? "Paid: here are your tickets" : "Paid too late", isPaid ? "good" : "error");
  });
}

export async function cancel(): Promise<void> {
  const { orderId, holderId } = there(store.order.value);
  await ask("Cancelling", async () => {
    const request = { orderId, actor: holderId, reason: "cancelled on the seat map" };
    await repeat((o) => store.calls().checkout.cancelOrder(request, o));
    leave();
    store.tell("Cancelled; the places are free again");
  });
}

/** Back to the house. */
export function leave(): void {
  const eventId = store.order.value?.eventId;
  if (eventId) tab.drop(nameOf(eventId));
  forgetHold();
}

/** The order of a hold that this tab had before it was reloaded. */
export async function recoverOrder(hold: Hold): Promise<void> {
  const { checkout } = store.calls();
  const { orderId, eventId, holderId, holdId } = hold;
  if (orderId) {
    const { order } = await repeat((o) => checkout.getOrder({ orderId }, o));
    if (order && !isOver(order)) show(order);
    return;
  }
  const request = { eventId, holderId, states: [OrderState.PENDING] };
  const { orders } = await repeat((o) => checkout.listOrders(request, o));
  const order = orders.find((one) => one.holdId === holdId);
  if (order) show(order);
}

export function forgetOrder(): void {
  store.order.value = undefined;
  showBought();
}

function show(order: Order): void {
  // Another event may have been chosen while the call was under way.
  if (store.house.value?.event.eventId !== order.eventId) return;
  store.order.value = order;
  showBought();
}

/** Marks the order's seats as ours. */
export function showBought(): void {
  const state = store.state.value;
  const places = (store.order.value?.tickets ?? []).map(({ place }) => place);
  const seatIds = places.flatMap((place) => (place.case === "seatId" ? place.value : []));
  state?.put("bought", state.numbersOf(seatIds));
}

function isOver({ state }: Order): boolean {
  return state === OrderState.CANCELLED || state === OrderState.REFUNDED;
}
