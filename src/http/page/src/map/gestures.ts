// Fingers, mouse and wheel: taps, moving the house, and zooming.

import type { Point } from "./house.ts";

export interface Moves {
  tap(at: Point): void;
  hover(at: Point | undefined): void;
  pan(dx: number, dy: number): void;
  zoom(factor: number, at: Point): void;
}

// A finger that moved less has tapped, CSS pixels.
const STILL = 8;

/** Listens on an element until the function that it returns is called. */
export function listen(element: HTMLElement, moves: Moves): () => void {
  const fingers = new Map<number, Point>();
  let begun: Point | undefined;
  let tapped = false;

  const place = (event: MouseEvent): Point => {
    const { left, top } = element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  const down = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, place(event));
    tapped = fingers.size === 1;
    begun = place(event);
    moves.hover(undefined);
  };
  const move = (event: PointerEvent): void => {
    const now = place(event);
    const before = fingers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse") moves.hover(now);
      return;
    }
    if (begun && distance(begun, now) > STILL) tapped = false;
    if (tapped) return;
    fingers.set(event.pointerId, now);
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const middle = { x: (other.x + now.x) / 2, y: (other.y + now.y) / 2 };
      moves.zoom(distance(other, now) / Math.max(distance(other, before), 1), middle);
      moves.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    } else {
      moves.pan(now.x - before.x, now.y - before.y);
    }
  };
  const up = (event: PointerEvent): void => {
    if (!fingers.delete(event.pointerId)) return;
    if (tapped && event.type === "pointerup") moves.tap(place(event));
    tapped = false;
  };
  const wheel = (event: WheelEvent): void => {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    // A trackpad's pinch comes as a wheel with ctrl, in small steps.
    const step = event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002);
    moves.zoom(Math.exp(-step), place(event));
  };
  const leave = (): void => moves.hover(undefined);

  element.addEventListener("pointerdown", down);
  element.addEventListener("pointermove", move);
  element.addEventListener("pointerup", up);
  element.addEventListener("pointercancel", up);
  element.addEventListener("pointerleave", leave);
  element.addEventListener("wheel", wheel, { passive: false });
  return () => {
    element.removeEventListener("pointerdown", down);
    element.removeEventListener("pointermove", move);
    element.removeEventListener("pointerup", up);
    element.removeEventListener("pointercancel", up);
    element.removeEventListener("pointerleave", leave);
    element.removeEventListener("wheel", wheel);
  };
}

function distance(one: Point, other: Point): number {
  return Math.hypot(one.x - other.x, one.y - other.y);
}
