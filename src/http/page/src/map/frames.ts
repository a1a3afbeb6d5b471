// How long frames take, for tests and for whoever asks `__holdfast` in the console.

export interface Frames {
  /** Of each painted frame, ms of our work. */
  paints: number[];
  /** From frame to frame, ms. */
  intervals: number[];
}

let recorded: Frames | undefined;

export function painted(ms: number): void {
  recorded?.paints.push(ms);
}

/** Begins anew. */
export function record(): void {
  const mine: Frames = { paints: [], intervals: [] };
  recorded = mine;
  let before: number | undefined;
  const frame = (now: number): void => {
    if (recorded !== mine) return;
    if (before !== undefined) mine.intervals.push(now - before);
    before = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

export function stop(): Frames {
  const told = recorded ?? { paints: [], intervals: [] };
  recorded = undefined;
  return told;
}
