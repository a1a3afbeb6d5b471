// What the shapes and colours of the map mean, drawn by the same code.

import { useEffect, useRef } from "preact/hooks";
import { coloursNow } from "../map/colours.ts";
import { drawSeat } from "../map/shapes.ts";
import { Look } from "../map/state.ts";
import { shown } from "../money.ts";
import * as store from "../sale/store.ts";

const SIZE = 18;

export function Legend() {
  const prices = store.house.value?.prices ?? [];
  return (
    <section class="legend" aria-label="Legend">
      <ul class="prices">
        {prices.map((price, n) => (
          <li key={price.priceCategoryId}>
            <Sample look={Look.free} price={n} />
            <span>{price.name || price.priceCategoryId}</span>
            <b>{shown(price.price)}</b>
          </li>
        ))}
      </ul>
      <ul class="looks">
        <LookOf look={Look.chosen} text="Chosen" />
        <LookOf look={Look.mine} text="Yours" />
        <LookOf look={Look.held} text="Held" />
        <LookOf look={Look.sold} text="Sold" />
        <LookOf look={Look.blocked} text="Blocked" />
        <LookOf look={Look.free} text="Wheelchair" accessible />
      </ul>
    </section>
  );
}

function LookOf({ look, text, ...rest }: { look: Look; text: string; accessible?: boolean }) {
  return (
    <li>
      <Sample look={look} {...rest} />
      <span>{text}</span>
    </li>
  );
}

export function Sample(props: { look: Look; price?: number; accessible?: boolean }) {
  const { look, price = 0, accessible = false } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const draw = (): void => {
      const on = canvas.current?.getContext("2d");
      if (!on) return;
      const colours = coloursNow();
      on.setTransform(2, 0, 0, 2, 0, 0);
      on.clearRect(0, 0, SIZE, SIZE);
      const hue = colours.hues[price % colours.hues.length] ?? colours.ink;
      drawSeat(on, look, hue, accessible, colours, [SIZE / 2, SIZE / 2, SIZE / 2 - 1]);
    };
    draw();
    dark.addEventListener("change", draw);
    return () => dark.removeEventListener("change", draw);
  }, [look, price, accessible]);
  const size = { width: SIZE * 2, height: SIZE * 2 };
  return <canvas ref={canvas} class="sample" {...size} aria-hidden="true" />;
}
