// A Holdfast of its own for the tests of one worker: `holdfast dev` on free ports.

import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const BINARY = resolve(import.meta.dirname, "../../../../../target/debug/holdfast");
const READY = "Ctrl-C stops all of it";
// Colours of the log.
const ESCAPES = /\u001b\[[0-9;]*m/g;

export interface Server {
  /** Where the page is. */
  readonly http: string;
  /** Where gRPC-Web is answered. */
  readonly grpc: string;
  /** Where its stores are, as the settings of another server beside it. */
  readonly stores: Record<string, string>;
  stop(): Promise<void>;
}

/** With stores of its own. Rejects with what it said where it ends before it is ready. */
export async function startServer(): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-page-"));
  const child = start(["dev", "--data-dir", join(directory, "data")], {});
  const told: Record<string, string> = {};
  await heard(child, (line) => {
    const [name = "", value = ""] = line.trim().split(/\s+/);
    told[name] ??= value;
    return line.startsWith(READY);
  });
  const stores = {
    HOLDFAST_POSTGRES_URL: told["Postgres"] ?? "",
    HOLDFAST_REDIS_URL: told["Redis"] ?? "",
  };
  const stop = async (): Promise<void> => {
    await end(child);
    rmSync(directory, { recursive: true, force: true });
  };
  const http = new URL(told["HTTP"] ?? "").origin;
  return { http, grpc: `http://${told["gRPC"]}`, stores, stop };
}

/** Another server on the same stores, with settings of its own. */
export async function startBeside(
  server: Server,
  settings: Record<string, string>,
): Promise<Server> {
  const child = start(["serve"], { ...server.stores, ...settings, HOLDFAST_LOG: "info" });
  let [grpc, http] = ["", ""];
  await heard(child, (line) => {
    const found = /listening.* grpc=(\S+) http=(\S+)/.exec(line.replace(ESCAPES, ""));
    [grpc, http] = [`http://${found?.[1]}`, `http://${found?.[2]}`];
    return found !== null;
  });
  return { grpc, http, stores: server.stores, stop: () => end(child) };
}

function start(args: string[], settings: Record<string, string>): ChildProcess {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith("HOLDFAST_"));
  return spawn(BINARY, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...Object.fromEntries(others),
      HOLDFAST_GRPC_ADDR: "127.0.0.1:0",
      HOLDFAST_HTTP_ADDR: "127.0.0.1:0",
      HOLDFAST_LOG: "warn",
      ...settings,
    },
  });
}

/** Reads what it says until a line that was waited for. */
function heard(child: ChildProcess, isReady: (line: string) => boolean): Promise<void> {
  return new Promise((found, failed) => {
    const said: string[] = [];
    for (const output of [child.stdout, child.stderr]) {
      if (!output) continue;
      createInterface(output).on("line", (line) => {
        if (said.push(line) > 200) said.shift();
        if (isReady(line)) found();
      });
    }
    child.once("exit", () => failed(new Error(`holdfast has ended:\n${said.join("\n")}`)));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise((over) => child.once("exit", over));
  child.kill("SIGTERM");
  await ended;
}
