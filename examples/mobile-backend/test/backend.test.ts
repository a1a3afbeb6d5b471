// Many phones on one stream, and what may happen to them.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { Connection, Reservations, SeatStatus, type Settings } from "holdfast-client";
import { env, eventually, makeEvent, Server, so, Wire } from "holdfast-client/stage";
import { BackendProcess, Phone } from "./phones.js";

const SUBSCRIBERS = "holdfast_stream_subscribers";
const settings: Settings = { target: env("TARGET") };
const connection = new Connection(settings);
const reservations = new Reservations(connection);
let server: Server;
let wire: Wire;
let backend: BackendProcess;

before(async () => {
  // Of its own: nobody else's streams are counted there.
  server = await Server.start();
  wire = await Wire.to(server.grpc);
  backend = await BackendProcess.start(wire.address);
});

after(async () => {
  await backend.stop();
  wire.close();
  connection.close();
  await server.stop();
});

async function open(eventId: string, options = {}): Promise<Phone> {
  const phone = await Phone.open(backend.port, eventId, options);
  assert.ok(phone instanceof Phone, `refused with ${phone}`);
  return phone;
}

async function begun(phone: Phone): Promise<Phone> {
  await eventually("a snapshot", () => so(phone.snapshots > 0));
  return phone;
}

/** Holds and gives back, each seen by a phone before the next: so each is told alone. */
async function toggle(eventId: string, phone: Phone, times: number): Promise<string[][]> {
  const made: string[][] = [];
  for (let n = 0; n < times; n += 1) {
    const seat = `s:${(n % 4) + 1}:${(n % 25) + 1}`;
    const hold = await reservations.hold({ eventId, holderId: "ann", seatIds: [seat] });
    await eventually("it is held", () => so(phone.seats.get(seat) === "HELD"));
    await reservations.release(hold);
    await eventually("it is free", () => so(phone.seats.get(seat) === "AVAILABLE"));
    made.push([seat, "HELD"], [seat, "AVAILABLE"]);
  }
  return made;
}

/** Compares what a phone shows with GetSeatMap. */
async function assertShown(eventId: string, phone: Phone): Promise<void> {
  const map = await reservations.getSeatMap(eventId);
  const seats = map.seats.map(({ seatId, status }) => [seatId, SeatStatus[status]] as const);
  const areas = map.areas.map(({ areaId, available, capacity }) => {
    return [areaId, { available, capacity }] as const;
  });
  assert.deepEqual(phone.seats, new Map(seats));
  assert.deepEqual(phone.areas, new Map(areas));
}

test("two hundred phones are one stream, and each is counted", async () => {
  const eventId = await makeEvent(connection);
  await reservations.hold({ eventId, holderId: "ann", seatIds: ["s:1:1"] });
  const opening = Array.from({ length: 200 }, (_, n) => open(eventId, { viewer: `v${n}` }));
  const phones = await Promise.all(opening);
  await Promise.all(phones.map(begun));
  assert.equal(await server.metric(SUBSCRIBERS), 1);
  assert.equal(await backend.metric("sse_phones"), 200);
  const areas = [{ areaId: "floor", quantity: 3 }];
  await reservations.hold({ eventId, holderId: "ben", seatIds: ["s:2:2"], areas });
  for (const phone of phones) {
    await eventually("the change", () => so(phone.seats.get("s:2:2") === "HELD"));
    await eventually("all viewers", () => so(phone.viewers === 200));
    assert.deepEqual([phone.snapshots, phone.changes], [1, [["s:2:2", "HELD"]]]);
    await assertShown(eventId, phone);
  }
  for (const phone of phones) phone.close();
  await eventually("they have gone", async () => so((await backend.metric("sse_phones")) === 0));
});

test("cuts behind the backend are not seen by a phone", async () => {
  const eventId = await makeEvent(connection);
  const phone = await begun(await open(eventId));
  const made: string[][] = [];
  const accepted = wire.accepted;
  for (let round = 0; round < 4; round += 1) {
    made.push(...(await toggle(eventId, phone, 3)));
    wire.cut();
  }
  made.push(...(await toggle(eventId, phone, 1)));
  assert.ok(wire.accepted > accepted, "it was cut");
  assert.deepEqual([phone.snapshots, phone.hasEnded], [1, false]);
  assert.deepEqual(phone.changes, made);
  await assertShown(eventId, phone);
  phone.close();
});

test("a phone that comes back goes on where it was", async () => {
  const eventId = await makeEvent(connection);
  const stays = await begun(await open(eventId));
  const leaves = await begun(await open(eventId));
  await toggle(eventId, stays, 2);
  await eventually("the same", () => so(leaves.lastEventId === stays.lastEventId));
  leaves.close();
  const made = await toggle(eventId, stays, 3);
  const back = await open(eventId, { lastEventId: leaves.lastEventId });
  await eventually("what it missed", () => so(back.changes.length >= made.length));
  assert.deepEqual([back.snapshots, back.changes], [0, made]);
  const lost = await begun(await open(eventId, { lastEventId: "long-ago" }));
  assert.equal(lost.snapshots, 1);
  await assertShown(eventId, lost);
  for (const phone of [stays, back, lost]) phone.close();
});

test("a phone that takes nothing is cut off, and harms nobody", async () => {
  // Long ids: a change of the whole house is some 300 KB.
  const [rows, seats] = [20, 190];
  const eventId = await makeEvent(connection, { rows, seats, idPadding: 50 });
  const reads = await begun(await open(eventId));
  const stalled = connect(backend.port, "127.0.0.1");
  await once(stalled, "connect");
  stalled.pause();
  stalled.on("error", () => undefined);
  stalled.write(`GET /events/${eventId}/seats HTTP/1.1\r\nhost: here\r\n\r\n`);
  await eventually("two phones", async () => so((await backend.metric("sse_phones")) === 2));
  const all = [...reads.seats.keys()];
  const isAll = (status: string) => () =>
    so([...reads.seats.values()].every((other) => other === status));
  let told = 0;
  await eventually("it is cut off", async () => {
    const holds = await Promise.all(
      Array.from({ length: rows }, (_, row) => {
        const seatIds = all.slice(row * seats, (row + 1) * seats);
        return reservations.hold({ eventId, holderId: `h${row}`, seatIds });
      }),
    );
    await eventually("all held", isAll("HELD"));
    await Promise.all(holds.map((hold) => reservations.release(hold)));
    await eventually("all free", isAll("AVAILABLE"));
    told += 2 * all.length;
    return so((await backend.metric("sse_phones_dropped_total")) > 0);
  });
  assert.deepEqual([reads.snapshots, reads.hasEnded], [1, false]);
  assert.equal(reads.changes.length, told);
  await assertShown(eventId, reads);
  assert.equal(await backend.metric("sse_phones"), 1);
  stalled.destroy();
  reads.close();
});

test("what is not there is told at once", async () => {
  assert.equal(await Phone.open(backend.port, "no-such-event"), 404);
  assert.equal(await Phone.open(backend.port, "bad%20id"), 404);
  const eventId = await makeEvent(connection);
  assert.equal(await Phone.open(backend.port, eventId, { viewer: "bad%20id" }), 400);
});

test("a server that drains is not seen, nor is the end of the backend a failure", async () => {
  const other = await Server.start();
  const pair = [await Server.start(), other];
  const target = `ipv4:${pair.map((each) => each.grpc).join(",")}`;
  const last = await BackendProcess.start(target);
  try {
    const eventId = await makeEvent(connection);
    const phone = await Phone.open(last.port, eventId);
    assert.ok(phone instanceof Phone);
    await begun(phone);
    const has = await Promise.all(pair.map((each) => each.metric(SUBSCRIBERS)));
    await pair[has.indexOf(1)]?.stop();
    const made = await toggle(eventId, phone, 3);
    assert.deepEqual([phone.snapshots, phone.changes], [1, made]);
    assert.equal(await last.stop(), 0);
    await eventually("its end", () => so(phone.hasEnded));
    assert.ok(phone.response.complete, "ended in good order");
  } finally {
    await last.stop();
    await Promise.all(pair.map((each) => each.stop()));
  }
});
