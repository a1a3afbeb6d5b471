// The backend as a process, and phones that read it.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../src/main.js", import.meta.url));
const agent = new Agent({ maxSockets: Infinity });

interface Picture {
  readonly seats: Record<string, string>;
  readonly areas: Record<string, { available: number; capacity: number }>;
}

export class BackendProcess {
  private constructor(
    private readonly process: ChildProcess,
    readonly port: number,
  ) {}

  /** Starts the backend, as one does, on a free port. */
  static async start(target: string): Promise<BackendProcess> {
    const settings = { HOLDFAST_TARGET: target, HOLDFAST_SSE_PORT: "0" };
    const child = spawn(process.execPath, [MAIN], {
      env: { ...process.env, ...settings },
      stdio: ["ignore", "pipe", "inherit"],
    });
    process.once("exit", () => child.kill("SIGKILL"));
    const ended = once(child, "exit").then(() => Promise.reject(new Error("it has ended")));
    ended.catch(() => undefined);
    const listening = once(createInterface(child.stdout), "line");
    const [line] = (await Promise.race([listening, ended])) as [string];
    return new BackendProcess(child, Number(/:(\d+)\//.exec(line)?.[1]));
  }

  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.port}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
  }

  /** Answers with which code it has ended. */
  async stop(): Promise<number | null> {
    if (this.process.exitCode === null) {
      const ended = once(this.process, "exit");
      this.process.kill("SIGTERM");
      await ended;
    }
    return this.process.exitCode;
  }
}

/** Reads Server-Sent Events, and puts together what they tell. */
export class Phone {
  seats = new Map<string, string>();
  areas = new Map<string, { available: number; capacity: number }>();
  /** Every change of a seat, in order, as JSON tells it. */
  readonly changes: [string, string][] = [];
  snapshots = 0;
  viewers = 0;
  lastEventId = "";
  hasEnded = false;
  #rest = "";

  private constructor(readonly response: IncomingMessage) {
    response.setEncoding("utf8");
    response.on("data", (text: string) => this.#read(text));
    response.on("error", () => (this.hasEnded = true));
    response.on("close", () => (this.hasEnded = true));
  }

  /** Resolves to a phone, or to the status that it was refused with. */
  static async open(
    port: number,
    eventId: string,
    { lastEventId = "", viewer = "" } = {},
  ): Promise<Phone | number> {
    const headers = lastEventId ? { "last-event-id": lastEventId } : {};
    const query = viewer ? `?viewer=${viewer}` : "";
    const path = `/events/${eventId}/seats${query}`;
    const request = get({ agent, host: "127.0.0.1", port, path, headers });
    const [response] = (await once(request, "response")) as [IncomingMessage];
    if (response.statusCode === 200) return new Phone(response);
    response.resume();
    return response.statusCode ?? 0;
  }

  close(): void {
    this.response.destroy();
  }

  #read(text: string): void {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const lines = block.split("\n").map((line) => line.split(/: (.*)/s, 2));
      this.#take(new Map(lines.map(([name = "", value = ""]) => [name, value])));
    }
  }

  #take(fields: Map<string, string>): void {
    const event = fields.get("event");
    if (!event) return;
    this.lastEventId = fields.get("id") ?? this.lastEventId;
    const data = JSON.parse(fields.get("data") ?? "") as Picture & { active: number };
    if (event === "viewers") {
      this.viewers = data.active;
      return;
    }
    if (event === "snapshot") {
      this.snapshots += 1;
      this.seats.clear();
      this.areas.clear();
    } else {
      this.changes.push(...Object.entries(data.seats));
    }
    for (const [seatId, status] of Object.entries(data.seats)) this.seats.set(seatId, status);
    for (const [areaId, area] of Object.entries(data.areas)) this.areas.set(areaId, area);
  }
}
