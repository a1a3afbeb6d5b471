// The page's colours, for what CSS cannot paint. `styles/colours.css` has them, light and dark.

/** As many hues as `styles/colours.css` has for price categories; further ones begin anew. */
export const HUES = 8;

export interface Colours {
  readonly paper: string;
  readonly ground: string;
  readonly ink: string;
  readonly faint: string;
  readonly stage: string;
  readonly accent: string;
  readonly mine: string;
  readonly held: string;
  readonly sold: string;
  readonly bought: string;
  readonly danger: string;
  readonly hues: readonly string[];
}

export function coloursNow(): Colours {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    paper: of("paper"),
    ground: of("ground"),
    ink: of("ink"),
    faint: of("faint"),
    stage: of("stage"),
    accent: of("accent"),
    mine: of("mine"),
    held: of("held"),
    sold: of("sold"),
    bought: of("bought"),
    danger: of("danger"),
    hues: Array.from({ length: HUES }, (_, n) => of(`hue-${n}`)),
  };
}
