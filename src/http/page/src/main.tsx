// The live seat map: begins, and shows the event that was asked for.

import { render } from "preact";
import { connect } from "./calls.ts";
import * as store from "./sale/store.ts";
import { listEvents, open } from "./sale/watch.ts";
import { askedEvent, readSettings } from "./settings.ts";
import { App } from "./ui/app.tsx";

const place = document.getElementById("page");
if (place) render(<App />, place);
await begin();

async function begin(): Promise<void> {
  try {
    store.settings.value = await readSettings();
    store.useCalls(connect(store.settings.value.grpcUrl));
    const listed = listEvents();
    if (!askedEvent) await listed;
    const first = askedEvent || store.events.value[0]?.eventId;
    if (first) await Promise.all([listed, open(first)]);
    else store.connection.value = "over";
  } catch (failure) {
    store.connection.value = "over";
    store.tell(`The page cannot begin: ${String(failure)}`, "error");
  }
}
