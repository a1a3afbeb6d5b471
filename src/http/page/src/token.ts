// Who calls: a bearer token where the server asks for one, and the holder of this tab.

import { signal } from "@preact/signals";
import { askedHolder, tab } from "./settings.ts";
import { uuid } from "./uuid.ts";

/** Whether the dialog is open, and what it has to say. */
export const asking = signal<string | null>(null);

let waiting: (() => void)[] = [];

export const token = (): string => tab.get("token") ?? "";

/** Opens the dialog; resolves when a token was given. */
export function askForToken(why: string): Promise<void> {
  asking.value = why;
  return new Promise((resolve) => waiting.push(resolve));
}

export function giveToken(given: string): void {
  tab.set("token", given.trim().replace(/^Bearer\s+/i, ""));
  asking.value = null;
  waiting.forEach((resolve) => resolve());
  waiting = [];
}

/** Whose holds are made: as asked for, as the token binds, or random for this tab. */
export function holderId(): string {
  const bound = boundHolder(token());
  if (askedHolder || bound) return askedHolder || bound;
  const mine = tab.get("holder") ?? `web-${uuid().slice(0, 8)}`;
  tab.set("holder", mine);
  return mine;
}

/** Who watches, counted once: random for this tab, since a holder may have any letters. */
export function viewerId(): string {
  const mine = tab.get("viewer") ?? `page-${uuid()}`;
  tab.set("viewer", mine);
  return mine;
}

/** The `sub` of a token; only a bound role needs it, and it hurts no other. */
function boundHolder(jwt: string): string {
  const payload = jwt.split(".")[1];
  if (!payload) return "";
  try {
    const claims = JSON.parse(atob(payload.replace(/-/g, "+").replace(/_/g, "/"))) as object;
    return "sub" in claims && typeof claims.sub === "string" ? claims.sub : "";
  } catch {
    return "";
  }
}
