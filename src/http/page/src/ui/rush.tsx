// The rush button: `holdfast load sale` on this server, for demonstrations.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { tell } from "../sale/store.ts";

const LOOK_MS = 1_000;

interface Rush {
  running: boolean;
  said: string | null;
}

export function RushButton({ eventId }: { eventId: string }) {
  const running = useSignal(false);
  const look = async (): Promise<void> => {
    const answer = await fetch("/demo/rush").catch(() => undefined);
    if (!answer?.ok) return;
    const rush = (await answer.json()) as Rush;
    if (running.value && !rush.running) tell(rush.said ?? "The rush is over");
    running.value = rush.running;
  };
  useEffect(() => {
    void look();
    const timer = setInterval(() => {
      if (running.value) void look();
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, []);

  const press = async (): Promise<void> => {
    const init = running.value
      ? { method: "DELETE" }
      : {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ event_id: eventId }),
        };
    const answer = await fetch("/demo/rush", init).catch(() => undefined);
    if (answer?.ok || answer?.status === 409) {
      running.value = init.method === "POST";
      if (running.value) tell("The rush begins");
    } else {
      tell("This server takes no rush", "error");
    }
  };
  return (
    <button class="rush" aria-pressed={running.value} onClick={() => void press()}>
      {running.value ? "End the rush" : "Rush"}
    </button>
  );
}
