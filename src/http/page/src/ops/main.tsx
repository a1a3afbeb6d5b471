// The operator's page: begins, and looks at everything every two seconds.

import { render } from "preact";
import { connect, type Calls } from "../calls.ts";
import { readSettings } from "../settings.ts";
import { App } from "./app.tsx";
import { LOOK_MS, lookAround, troubles } from "./store.ts";

try {
  const settings = await readSettings();
  const calls = connect(settings.grpcUrl);
  const place = document.getElementById("page");
  if (place) render(<App calls={calls} version={settings.version} />, place);
  await look(calls);
} catch (failure) {
  troubles.value = new Map([["The page cannot begin", String(failure)]]);
}

/** One look after the other: a slow server is not asked twice at once. */
async function look(calls: Calls): Promise<void> {
  for (;;) {
    // Nobody looks: nothing is asked.
    if (!document.hidden) await lookAround(calls);
    await new Promise((over) => setTimeout(over, LOOK_MS));
  }
}
