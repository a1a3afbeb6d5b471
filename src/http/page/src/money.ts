import type { Money } from "./gen/google/type/money_pb.ts";

/** In the way of the reader's country. */
export function shown(money: Money | undefined): string {
  if (!money) return "";
  const value = Number(money.units) + money.nanos / 1e9;
  const style = { style: "currency", currency: money.currencyCode } as const;
  return new Intl.NumberFormat(undefined, style).format(value);
}

export function times(money: Money | undefined, quantity: number): Money | undefined {
  if (!money) return undefined;
  const nanos = BigInt(money.nanos) * BigInt(quantity);
  const units = money.units * BigInt(quantity) + nanos / 1_000_000_000n;
  return { ...money, units, nanos: Number(nanos % 1_000_000_000n) };
}

export function sum(all: (Money | undefined)[]): Money | undefined {
  return all.reduce((one, other) => {
    if (!one || !other) return one ?? other;
    const nanos = BigInt(one.nanos + other.nanos);
    const units = one.units + other.units + nanos / 1_000_000_000n;
    return { ...one, units, nanos: Number(nanos % 1_000_000_000n) };
  }, undefined);
}
