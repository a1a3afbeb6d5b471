// `/metrics`, read: samples by name and labels, and what counters did between two looks.

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export type Metrics = ReadonlyMap<string, readonly Sample[]>;

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Prometheus' text format; what is no sample is passed over. */
export function parse(text: string): Metrics {
  const metrics = new Map<string, Sample[]>();
  for (const line of text.split("\n")) {
    const [, name, labels = "", value] = LINE.exec(line) ?? [];
    if (!name) continue;
    const all = [...labels.matchAll(LABEL)].map(([, key, said]) => [key, said] as const);
    const sample = { labels: Object.fromEntries(all), value: Number(value) };
    const known = metrics.get(name);
    if (known) known.push(sample);
    else metrics.set(name, [sample]);
  }
  return metrics;
}

type Is = (labels: Sample["labels"]) => boolean;

/** All samples of a name together; undefined where there is none. */
export function sum(metrics: Metrics, name: string, is: Is = () => true): number | undefined {
  const samples = metrics.get(name)?.filter(({ labels }) => is(labels));
  if (!samples?.length) return undefined;
  return samples.reduce((all, { value }) => all + value, 0);
}

export function largest(metrics: Metrics, name: string): number | undefined {
  const values = metrics.get(name)?.map(({ value }) => value);
  return values?.length ? Math.max(...values) : undefined;
}

/** What a counter grew by, a second; a counter that began anew counts from nothing. */
export function rate(before: number, now: number, seconds: number): number {
  return (now < before ? now : now - before) / seconds;
}
