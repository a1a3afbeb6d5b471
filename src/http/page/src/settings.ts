// What the server tells the page about itself, and what the address bar asks for.

export interface Settings {
  readonly grpcUrl: string;
  /** Whether the rush button works here. */
  readonly rush: boolean;
  readonly version: string;
}

/** `/page.json`. Throws where the server cannot be reached. */
export async function readSettings(): Promise<Settings> {
  const answer = await fetch("/page.json", { cache: "no-store" });
  if (!answer.ok) throw new Error(`/page.json: ${answer.status}`);
  const told = (await answer.json()) as { grpc_url: string; rush?: boolean; version?: string };
  return { grpcUrl: told.grpc_url, rush: told.rush ?? false, version: told.version ?? "" };
}

const asked = new URLSearchParams(location.search);

/** `?event=`: which event to show first. */
export const askedEvent = asked.get("event") ?? "";

/** `?holder=`: whose holds are made; else a name that this tab keeps. */
export const askedHolder = asked.get("holder") ?? "";

/** Puts the event into the address bar, so that the page can be passed on. */
export function rememberEvent(eventId: string): void {
  asked.set("event", eventId);
  history.replaceState(null, "", `?${asked.toString()}`);
}

/** A value of this tab: it outlives a reload, and no other tab sees it. */
export const tab = {
  get: (name: string): string | null => sessionStorage.getItem(`holdfast.${name}`),
  set: (name: string, value: string): void => sessionStorage.setItem(`holdfast.${name}`, value),
  drop: (name: string): void => sessionStorage.removeItem(`holdfast.${name}`),
};
