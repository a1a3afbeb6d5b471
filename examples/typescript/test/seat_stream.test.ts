// The stream has no gap and no repetition, whatever ends it.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, test } from "node:test";
import {
  CatalogService,
  Connection,
  HoldfastError,
  House,
  Reservations,
  SeatStatus,
  streamSeatUpdates,
} from "../src/index.js";
import { Reader, toggle, type SeatList } from "./reader.js";
import { env, eventually, makeEvent, Server, so, Wire } from "./stage.js";

const connection = new Connection({ target: env("TARGET") });
const reservations = new Reservations(connection);
after(() => connection.close());

/** The house as GetSeatMap has it. */
async function shown(eventId: string): Promise<House> {
  const answer = await reservations.getSeatMap(eventId);
  const house = new House();
  for (const { seatId, status } of answer.seats) house.seats.set(seatId, status);
  for (const { areaId, available, capacity } of answer.areas) {
    house.areas.set(areaId, { available, capacity });
  }
  return house;
}

test("changes after cuts are told once", async () => {
  const eventId = await makeEvent(connection);
  const wire = await Wire.to(env("TARGET"));
  const cut = new Connection({ target: wire.address });
  const reader = new Reader(cut, eventId);
  await reader.begun();
  const made: SeatList = [];
  for (let round = 0; round < 6; round += 1) {
    made.push(...(await toggle(reservations, eventId, 5 + Math.floor(Math.random() * 10))));
    wire.cut();
  }
  const areas = [{ areaId: "floor", quantity: 7 }];
  await reservations.hold({ eventId, holderId: "ann", seatIds: ["s:4:25"], areas });
  made.push(["s:4:25", SeatStatus.HELD]);
  await reader.has(made);
  await reader.close();
  cut.close();
  wire.close();
  assert.ok(wire.accepted >= 2, "it was cut");
  assert.equal(reader.snapshots, 1, "it went on from its token");
  assert.deepEqual(reader.changes, made, "no gap, no repetition, in order");
  assert.deepEqual(reader.house, await shown(eventId));
});

test("a drain is not seen", async () => {
  const servers = [await Server.start(), await Server.start()];
  const target = `ipv4:${servers.map((server) => server.grpc).join(",")}`;
  const both = new Connection({ target });
  const eventId = await makeEvent(connection);
  const reader = new Reader(both, eventId);
  try {
    await reader.begun();
    const metric = "holdfast_stream_subscribers";
    const open = await Promise.all(servers.map((server) => server.metric(metric)));
    assert.deepEqual([...open].sort(), [0, 1]);
    const made = await toggle(reservations, eventId, 10);
    await servers[open.indexOf(1)]?.stop();
    made.push(...(await toggle(reservations, eventId, 10)));
    await reader.has(made);
    assert.equal(await servers[open.indexOf(0)]?.metric(metric), 1);
    await reader.close();
    assert.equal(reader.snapshots, 1);
    assert.deepEqual(reader.changes, made);
    assert.deepEqual(reader.house, await shown(eventId));
  } finally {
    await reader.close().catch(() => undefined);
    both.close();
    await Promise.all(servers.map((server) => server.stop()));
  }
});

test("a token goes on in another process", async () => {
  const eventId = await makeEvent(connection);
  const first = new Reader(connection, eventId);
  await first.begun();
  await first.close();
  const made = await toggle(reservations, eventId, 5);
  const second = new Reader(connection, eventId, { resumeToken: first.token });
  await second.has(made);
  await second.close();
  assert.equal(second.snapshots, 0);
  assert.deepEqual(second.changes, made);
});

for (const packed of [false, true]) {
  test(`a big house comes whole, ${packed ? "packed" : "in parts"}`, async () => {
    const eventId = await makeEvent(connection, { rows: 30, seats: 150 });
    const seatIds = ["s:1:1", "s:29:77", "s:30:150"];
    await reservations.hold({ eventId, holderId: "ann", seatIds });
    const reader = new Reader(connection, eventId, { packed });
    await reader.begun();
    assert.equal(reader.house.seats.size, 4_500);
    assert.deepEqual(reader.house, await shown(eventId));
    // A chart that grows begins the stream anew; a packed one needs its names.
    const rows = [{ rowId: "31", seats: [{ seatId: "new", priceCategoryId: "p" }] }];
    const request = { eventId, sectionId: "s", rows };
    await connection.unary(CatalogService.method.addSeats, request);
    await eventually("the new seat", () => so(reader.house.seats.has("new")));
    assert.deepEqual(reader.house, await shown(eventId));
    await reader.close();
  });
}

test("who watches is counted", async () => {
  const eventId = await makeEvent(connection);
  const reader = new Reader(connection, eventId, { viewerId: `v-${randomUUID()}` });
  await eventually("one viewer", () => so(reader.viewers === 1));
  await reader.close();
});

test("a definite no ends it", async () => {
  await assert.rejects(streamSeatUpdates(connection, "no-such-event").next(), (error) => {
    assert.ok(error instanceof HoldfastError);
    assert.equal(error.reason, "EVENT_NOT_FOUND");
    return true;
  });
});

test("silence ends it", async () => {
  const nowhere = new Connection({ target: "127.0.0.1:1" });
  const stream = streamSeatUpdates(nowhere, "demo", { patienceMs: 500 });
  await assert.rejects(stream.next(), HoldfastError);
  nowhere.close();
});
