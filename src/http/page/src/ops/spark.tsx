// A line as high as a word: the last minutes of one or two numbers, the latest at the right.

const WIDTH = 150;
const HEIGHT = 30;
const STEPS = 150;

interface Lines {
  label: string;
  /** The lines, with the class that colours each. */
  lines: { values: readonly number[]; of: string }[];
  /** As much as fills its height; the largest value where not given. */
  full?: number;
}

export function Spark({ label, lines, full }: Lines) {
  const most = Math.max(full ?? 0, ...lines.flatMap(({ values }) => values), 1e-9);
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      {lines.map(({ values, of }) => (
        <path key={of} class={of} d={pathOf(values, most)} />
      ))}
    </svg>
  );
}

function pathOf(values: readonly number[], most: number): string {
  const first = STEPS - values.length;
  return values
    .map((value, n) => {
      const x = ((first + n) / (STEPS - 1)) * WIDTH;
      const y = HEIGHT - 1.5 - (value / most) * (HEIGHT - 3);
      return `${n === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
}
