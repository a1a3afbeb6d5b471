// A wire that can be cut: TCP to a server, through here.

import { createServer, connect, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export interface Wire {
  readonly url: string;
  /** Ends what goes through, and lets nothing through until `mend`. */
  cut(): void;
  mend(): void;
  close(): void;
}

export function wireTo(server: string): Promise<Wire> {
  const { hostname, port } = new URL(server);
  const open = new Set<Socket>();
  let isCut = false;
  const listener = createServer((near) => {
    if (isCut) {
      near.destroy();
      return;
    }
    const far = connect(Number(port), hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one);
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
    }
  });
  const cut = (): void => {
    isCut = true;
    open.forEach((socket) => socket.destroy());
  };
  return new Promise((ready) => {
    listener.listen(0, "127.0.0.1", () => {
      ready({
        url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
        cut,
        mend: () => void (isCut = false),
        close: () => {
          cut();
          listener.close();
        },
      });
    });
  });
}
