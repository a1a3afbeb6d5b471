// Figures of many measured values.

/** The value that a part `p` of all is not above. */
export function quantile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(Math.floor(sorted.length * p), sorted.length - 1)] ?? NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** "p50 1.2, p95 3.4, max 5.6 ms of 120". */
export function figures(values: readonly number[]): string {
  const of = (p: number): string => quantile(values, p).toFixed(1);
  return `p50 ${of(0.5)}, p95 ${of(0.95)}, max ${of(1)} ms of ${values.length}`;
}
