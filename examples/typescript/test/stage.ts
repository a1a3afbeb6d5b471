// Servers that a test may stop, a wire that it may cut, and events of its own.

import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createWriteStream, readFileSync } from "node:fs";
import { connect, createServer, type Server as NetServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CatalogService, type Connection } from "../src/index.js";

/** What `examples/stage.py` has set. */
export function env(name: string): string {
  const value = process.env[`HOLDFAST_TEST_${name}`];
  if (!value) throw new Error(`HOLDFAST_TEST_${name} is not set: run this by make clients`);
  return value;
}

/** Asks again and again until there is an answer. */
export async function eventually<T>(
  what: string,
  ask: () => T | undefined | Promise<T | undefined>,
  patienceMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`never came: ${what}`);
    await sleep(20);
  }
}

/** Undefined until it is so, for `eventually`. */
export function so(is: boolean): true | undefined {
  return is || undefined;
}

/** A file that `examples/credentials.py` has written. */
export function credential(name: string): string {
  return join(env("CREDENTIALS"), name);
}

/** Settings of a server with TLS that takes tokens and certificates. */
export function secure(): Record<string, string> {
  return {
    HOLDFAST_TLS_CERT_FILE: credential("holdfast.pem"),
    HOLDFAST_TLS_KEY_FILE: credential("holdfast.key"),
    HOLDFAST_TLS_CLIENT_CA_FILE: credential("ca.pem"),
    HOLDFAST_CERTIFICATE_ROLES_FILE: credential("roles.toml"),
    HOLDFAST_JWT_KEYS: credential("tokens.pem"),
    HOLDFAST_JWT_AUDIENCE: "holdfast",
    HOLDFAST_JWT_LEEWAY_SECONDS: "0",
  };
}

/** `holdfast serve` on the stores of the stage, with further settings. */
export class Server {
  private constructor(
    private readonly process: ChildProcess,
    readonly grpc: string,
    readonly http: string,
  ) {}

  static async start(further: Record<string, string> = {}): Promise<Server> {
    const file = join(env("LOGS"), `serve-${randomUUID()}.log`);
    const log = createWriteStream(file);
    await once(log, "open");
    const address = ["--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"];
    const child = spawn(env("BINARY"), ["serve", ...address], {
      stdio: ["ignore", log, log],
      env: {
        PATH: process.env["PATH"],
        HOLDFAST_POSTGRES_URL: env("POSTGRES_URL"),
        HOLDFAST_REDIS_URL: env("REDIS_URL"),
        HOLDFAST_LOG_FORMAT: "json",
        ...further,
      },
    });
    // Nobody is left behind where a test fails.
    process.once("exit", () => child.kill("SIGKILL"));
    const told = (name: string): Promise<string> =>
      eventually(`its ${name} port, in ${file}`, () =>
        new RegExp(`"${name}":"([0-9.:]+)"`).exec(readFileSync(file, "utf8"))?.[1],
      );
    const server = new Server(child, await told("grpc"), await told("http"));
    await eventually("readiness", () =>
      so(readFileSync(file, "utf8").includes('"message":"ready"')),
    );
    return server;
  }

  /** The sum of a metric, over its labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://${this.http}/metrics`)).text();
    const lines = text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+]+)$`, "gm"));
    return [...lines].reduce((sum, [, value]) => sum + Number(value), 0);
  }

  /** Whether calls of a method were served here. */
  async served(method: string): Promise<boolean> {
    const text = await (await fetch(`http://${this.http}/metrics`)).text();
    return new RegExp(`^\\w+\\{[^}]*[="/]${method}"[^}]*\\} [1-9]`, "m").test(text);
  }

  /** Lets it drain, or ends it at once, and waits for its end. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, "exit");
    this.process.kill(signal);
    await ended;
  }
}

/** Passes TCP on to an address, until it is cut; not the first `refused` connections. */
export class Wire {
  accepted = 0;
  readonly #open = new Set<Socket>();

  private constructor(
    readonly address: string,
    private readonly listener: NetServer,
  ) {}

  static async to(target: string, refused = 0): Promise<Wire> {
    const [host = "", port = ""] = target.split(":");
    const listener = createServer();
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const address = listener.address();
    if (typeof address !== "object" || !address) throw new Error("it does not listen");
    const wire = new Wire(`127.0.0.1:${address.port}`, listener);
    let left = refused;
    listener.on("connection", (near) => {
      if (left > 0) {
        left -= 1;
        near.destroy();
        return;
      }
      wire.accepted += 1;
      const far = connect(Number(port), host);
      for (const [end, other] of [[near, far], [far, near]] as const) {
        wire.#open.add(end);
        end.on("error", () => undefined);
        end.on("close", () => {
          wire.#open.delete(end);
          other.destroy();
        });
        end.pipe(other);
      }
    });
    return wire;
  }

  /** Ends all connections without a word of goodbye; new ones are let through. */
  cut(): void {
    for (const end of this.#open) end.resetAndDestroy();
  }

  close(): void {
    this.listener.close();
    this.cut();
  }
}

/** Makes an event: seats s:ROW:SEAT, from 1 up and as long as asked for, 50 of `floor`. */
export async function makeEvent(
  connection: Connection,
  { rows = 4, seats = 25, maxUnitsPerHolder = 0, maxExpiredHolds = 0, idPadding = 0 } = {},
): Promise<string> {
  const eventId = `typescript-${randomUUID()}`;
  const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);
  const priceCategoryId = "p";
  const padding = "-".repeat(idPadding);
  await connection.unary(CatalogService.method.createEvent, {
    event: {
      eventId,
      name: "A night",
      venue: "The house",
      city: "Paris",
      startTime: { seconds: 1_900_000_000n },
      maxUnitsPerHold: 200,
      maxUnitsPerHolder,
      maxExpiredHolds,
    },
    chart: {
      priceCategories: [
        { priceCategoryId, name: "P", price: { currencyCode: "EUR", units: 30n } },
      ],
      sections: [
        {
          sectionId: "s",
          name: "S",
          rows: count(rows).map((row) => ({
            rowId: String(row),
            seats: count(seats).map((seat) => {
              return { seatId: `s:${row}:${seat}${padding}`, priceCategoryId };
            }),
          })),
        },
      ],
      areas: [{ areaId: "floor", name: "Floor", capacity: 50, priceCategoryId }],
    },
  });
  return eventId;
}
