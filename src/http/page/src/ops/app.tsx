// The operator's page put together: numbers of the service, its events, their open holds.

import type { Calls } from "../calls.ts";
import { TokenDialog } from "../ui/tokendialog.tsx";
import { Events } from "./events.tsx";
import { Actions, Holds } from "./holds.tsx";
import * as store from "./store.ts";
import { Tiles } from "./tiles.tsx";

export function App({ calls, version }: { calls: Calls; version: string }) {
  return (
    <>
      <header class="top named">
        <a class="brand" href="/">
          Holdfast
        </a>
        <div class="about">
          <h1>Operations</h1>
          <p>What this server knows{version && `, version ${version}`}</p>
        </div>
        <Looked />
        <a class="quiet" href="/">
          Seat map
        </a>
      </header>
      <main class="ops">
        <Troubles />
        <Tiles />
        <Events />
        <Holds calls={calls} />
        <Actions />
      </main>
      <TokenDialog />
    </>
  );
}

function Looked() {
  const at = store.looked.value;
  const isWhole = store.troubles.value.size === 0;
  return (
    <p class={`live ${at === 0 ? "opening" : isWhole ? "live" : "cut"}`}>
      <i aria-hidden="true" />
      <b>{at === 0 ? "Opening" : isWhole ? "Up to date" : "In part"}</b>
    </p>
  );
}

function Troubles() {
  const troubles = [...store.troubles.value];
  return (
    <div role="alert">
      {troubles.map(([what, why]) => (
        <p class="trouble" key={what}>
          {what}: {why}
        </p>
      ))}
    </div>
  );
}
