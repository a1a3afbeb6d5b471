// How a seat looks: each state has a shape of its own, so that no colour is needed.

import type { Colours } from "./colours.ts";
import { Look } from "./state.ts";

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** Draws a seat of radius `r` about (x, y). */
export function drawSeat(
  on: Context,
  look: Look,
  hue: string,
  accessible: boolean,
  colours: Colours,
  [x, y, r]: [number, number, number],
): void {
  on.lineWidth = Math.max(r * 0.22, 1);
  on.lineCap = "round";
  switch (look) {
    case Look.free:
      on.fillStyle = hue;
      outline(on, x, y, r, accessible);
      on.fill();
      if (accessible) dot(on, x, y, r * 0.34, colours.ground);
      break;
    case Look.chosen:
      on.fillStyle = hue;
      disc(on, x, y, r * 0.58);
      on.strokeStyle = colours.ink;
      on.lineWidth = Math.max(r * 0.24, 1.2);
      circle(on, x, y, r - on.lineWidth / 2);
      on.stroke();
      break;
    case Look.held:
      on.fillStyle = on.strokeStyle = colours.held;
      circle(on, x, y, r * 0.86 - on.lineWidth / 2);
      on.stroke();
      on.beginPath();
      on.arc(x, y, r * 0.86 - on.lineWidth / 2, Math.PI / 2, (3 * Math.PI) / 2);
      on.fill();
      break;
    case Look.sold:
      on.fillStyle = colours.sold;
      on.fillRect(x - r * 0.6, y - r * 0.6, r * 1.2, r * 1.2);
      break;
    case Look.blocked:
      on.strokeStyle = colours.sold;
      cross(on, x, y, r * 0.5);
      break;
    case Look.mine:
      on.fillStyle = colours.mine;
      box(on, x, y, r * 0.9, r * 0.4);
      on.fill();
      tick(on, x, y, r, colours.ground);
      break;
    case Look.bought:
      on.fillStyle = colours.bought;
      diamond(on, x, y, r);
      on.fill();
      tick(on, x, y, r * 0.7, colours.ground);
  }
}

function outline(on: Context, x: number, y: number, r: number, accessible: boolean): void {
  if (accessible) box(on, x, y, r * 0.86, r * 0.3);
  else circle(on, x, y, r);
}

function circle(on: Context, x: number, y: number, r: number): void {
  on.beginPath();
  on.arc(x, y, Math.max(r, 0.1), 0, 2 * Math.PI);
}

function disc(on: Context, x: number, y: number, r: number): void {
  circle(on, x, y, r);
  on.fill();
}

function dot(on: Context, x: number, y: number, r: number, colour: string): void {
  on.fillStyle = colour;
  disc(on, x, y, r);
}

function box(on: Context, x: number, y: number, half: number, corner: number): void {
  on.beginPath();
  on.roundRect(x - half, y - half, 2 * half, 2 * half, corner);
}

function diamond(on: Context, x: number, y: number, r: number): void {
  on.beginPath();
  on.moveTo(x, y - r);
  on.lineTo(x + r, y);
  on.lineTo(x, y + r);
  on.lineTo(x - r, y);
  on.closePath();
}

function cross(on: Context, x: number, y: number, half: number): void {
  on.beginPath();
  on.moveTo(x - half, y - half);
  on.lineTo(x + half, y + half);
  on.moveTo(x + half, y - half);
  on.lineTo(x - half, y + half);
  on.stroke();
}

function tick(on: Context, x: number, y: number, r: number, colour: string): void {
  on.strokeStyle = colour;
  on.lineWidth = Math.max(r * 0.24, 1);
  on.beginPath();
  on.moveTo(x - r * 0.42, y + r * 0.02);
  on.lineTo(x - r * 0.1, y + r * 0.36);
  on.lineTo(x + r * 0.44, y - r * 0.34);
  on.stroke();
}
