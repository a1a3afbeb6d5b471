// A server that asks who calls, over TLS.

import assert from "node:assert/strict";
import { createPrivateKey, sign } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { status as Code } from "@grpc/grpc-js";
import { Connection, HoldfastError, Reservations, type Settings } from "../src/index.js";
import { Reader, toggle, type SeatList } from "./reader.js";
import { credential, env, makeEvent, secure, Server } from "./stage.js";

const operator = new Connection({ target: env("TARGET") });
const tokenFile = join(mkdtempSync(join(tmpdir(), "holdfast-")), "token");
let server: Server;
let settings: Settings;

before(async () => {
  server = await Server.start(secure());
  const serverName = "holdfast.internal";
  settings = { target: server.grpc, caFile: credential("ca.pem"), tokenFile, serverName };
});

after(async () => {
  operator.close();
  await server.stop();
});

function token(role: string, untilS = Math.ceil(Date.now() / 1_000) + 60): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { sub: "shop", aud: "holdfast", roles: role, exp: untilS };
  const text = `${part({ alg: "ES256", typ: "JWT" })}.${part(claims)}`;
  const key = createPrivateKey(readFileSync(credential("tokens.key")));
  const signature = sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

function refused(code: Code, reason: string): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof HoldfastError, String(error));
    assert.deepEqual([error.code, error.reason], [code, reason]);
    return true;
  };
}

test("a token says who calls", async () => {
  const eventId = await makeEvent(operator);
  const connection = new Connection(settings);
  const reservations = new Reservations(connection);
  const request = { eventId, holderId: "ann", seatIds: ["s:1:1"] };
  writeFileSync(tokenFile, "nonsense");
  const nobody = refused(Code.UNAUTHENTICATED, "UNAUTHENTICATED");
  await assert.rejects(reservations.getSeatMap(eventId), nobody);
  writeFileSync(tokenFile, token("viewer"));
  assert.equal((await reservations.getSeatMap(eventId)).seats.length, 100);
  const tooSmall = refused(Code.PERMISSION_DENIED, "ROLE_REQUIRED");
  await assert.rejects(reservations.hold(request), tooSmall);
  // Replaced, it is taken from the next call on.
  writeFileSync(tokenFile, token("confirmer"));
  const hold = await reservations.hold(request);
  assert.ok((await reservations.confirm(hold, `pay-${hold.holdId}`)).orderId);
  connection.close();
});

test("a certificate says who calls", async () => {
  const eventId = await makeEvent(operator);
  const certFile = credential("shop.pem");
  const keyFile = credential("shop.key");
  const shop = new Connection({ ...settings, tokenFile: undefined, certFile, keyFile });
  const reservations = new Reservations(shop);
  const hold = await reservations.hold({ eventId, holderId: "ann", seatIds: ["s:1:1"] });
  assert.ok((await reservations.confirm(hold, `pay-${hold.holdId}`)).orderId);
  shop.close();
  const anybody = new Connection({ ...settings, tokenFile: undefined });
  const nobody = refused(Code.UNAUTHENTICATED, "UNAUTHENTICATED");
  await assert.rejects(new Reservations(anybody).getSeatMap(eventId), nobody);
  anybody.close();
});

test("a stream outlives its token", async () => {
  const eventId = await makeEvent(operator);
  const untilS = Math.ceil(Date.now() / 1_000) + 2;
  writeFileSync(tokenFile, token("viewer", untilS));
  const connection = new Connection(settings);
  const reader = new Reader(connection, eventId);
  await reader.begun();
  writeFileSync(tokenFile, token("viewer"));
  const made: SeatList = [];
  while (Date.now() / 1_000 < untilS + 1.5) {
    made.push(...(await toggle(new Reservations(operator), eventId, 2)));
  }
  await reader.has(made);
  await reader.close();
  connection.close();
  assert.equal(reader.snapshots, 1);
  assert.deepEqual(reader.changes, made);
});

test("a token goes nowhere without TLS", () => {
  assert.throws(() => new Connection({ target: "192.0.2.1:50051", tokenFile }), /this machine/);
  assert.throws(() => new Connection({ target: "ipv4:127.0.0.1:1,10.0.0.1:1", tokenFile }));
  new Connection({ target: "ipv4:127.0.0.1:1,127.0.0.1:2", tokenFile }).close();
});
