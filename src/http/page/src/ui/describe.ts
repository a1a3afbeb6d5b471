import { Look, type State } from "../map/state.ts";
import { shown } from "../money.ts";
import { placeOf } from "../sale/store.ts";

export const LOOKS: Record<Look, string> = {
  [Look.free]: "available",
  [Look.held]: "held by somebody",
  [Look.sold]: "sold",
  [Look.blocked]: "blocked",
  [Look.chosen]: "chosen by you",
  [Look.mine]: "held by you",
  [Look.bought]: "bought by you",
};

/** "Row 3 seat 12, Parterre, left; EUR 45.00; available". */
export function describe(state: State, n: number): string {
  const seat = state.house.seats[n];
  if (!seat) return "";
  const price = shown(state.house.prices[seat.price]?.price);
  const more = [
    ...(seat.accessible ? ["wheelchair place"] : []),
    ...(seat.reserved ? ["kept for others"] : []),
  ];
  return [placeOf(seat), price, LOOKS[state.lookOf(n)], ...more].join("; ");
}
