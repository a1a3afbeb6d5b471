// Holding, selling, giving back; and every kind of no.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, test } from "node:test";
import { status as Code } from "@grpc/grpc-js";
import {
  Connection,
  HoldfastError,
  HoldState,
  ReservationService,
  Reservations,
  SeatStatus,
} from "../src/index.js";
import { env, eventually, makeEvent, Server, so, Wire } from "./stage.js";

const connection = new Connection({ target: env("TARGET") });
const reservations = new Reservations(connection);
after(() => connection.close());

async function refused(call: Promise<unknown>): Promise<HoldfastError> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof HoldfastError, String(error));
    return error;
  }
  assert.fail("must be refused");
}

test("hold, confirm, and again", async () => {
  const eventId = await makeEvent(connection);
  const request = {
    eventId,
    holdId: randomUUID(),
    holderId: "ann",
    seatIds: ["s:1:1", "s:1:2"],
    areas: [{ areaId: "floor", quantity: 2 }],
  };
  const hold = await reservations.hold(request);
  assert.deepEqual(hold.seatIds, request.seatIds);
  assert.equal(hold.state, HoldState.ACTIVE);
  assert.deepEqual(await reservations.hold(request), hold);
  const order = await reservations.confirm(hold, `pay-${hold.holdId}`);
  assert.equal(order.total?.units, 120n);
  assert.equal(order.tickets.length, 4);
  assert.deepEqual(await reservations.confirm(hold, `pay-${hold.holdId}`), order);
  assert.equal((await reservations.getHold(eventId, hold.holdId)).orderId, order.orderId);
});

test("release, and again", async () => {
  const eventId = await makeEvent(connection);
  const hold = await reservations.hold({
    eventId,
    holderId: "ann",
    seatIds: ["s:1:1", "s:1:2"],
  });
  const left = await reservations.release(hold, { seatIds: ["s:1:1"] });
  assert.deepEqual([left.seatIds, left.state], [["s:1:2"], HoldState.ACTIVE]);
  assert.equal((await reservations.release(hold)).state, HoldState.RELEASED);
  assert.equal((await reservations.release(hold)).state, HoldState.RELEASED);
  const error = await refused(reservations.confirm(hold, `pay-${hold.holdId}`));
  assert.equal(error.code, Code.FAILED_PRECONDITION);
  assert.equal(error.reason, "HOLD_RELEASED");
  assert.equal(error.metadata["hold_id"], hold.holdId);
});

test("who comes too late hears of every seat", async () => {
  const eventId = await makeEvent(connection);
  await reservations.hold({ eventId, holderId: "ann", seatIds: ["s:1:1"] });
  const sold = await reservations.hold({ eventId, holderId: "cyd", seatIds: ["s:1:3"] });
  await reservations.confirm(sold, `pay-${sold.holdId}`);
  const seatIds = ["s:1:1", "s:1:2", "s:1:3"];
  const error = await refused(reservations.hold({ eventId, holderId: "ben", seatIds }));
  assert.equal(error.reason, "SEAT_UNAVAILABLE");
  assert.deepEqual(error.unavailableSeats, ["s:1:1", "s:1:3"]);
  assert.deepEqual(
    error.preconditions.map((each) => each.type),
    ["SEAT_HELD", "SEAT_SOLD"],
  );
  assert.ok(!error.isWorthRepeating && !error.isOutcomeUnknown);
});

test("all bad fields are named", async () => {
  const error = await refused(
    reservations.hold({
      eventId: await makeEvent(connection),
      holderId: "no spaces allowed",
      seatIds: ["s:1:1", "s:1:1"],
      areas: [{ areaId: "floor", quantity: 0 }],
    }),
  );
  assert.equal(error.code, Code.INVALID_ARGUMENT);
  assert.equal(error.reason, "INVALID_FIELD");
  assert.deepEqual(
    error.fields.map((each) => each.field),
    ["holder_id", "seat_ids[1]", "areas[0].quantity"],
  );
  assert.equal(error.metadata["violations"], "3");
});

test("what is not there", async () => {
  const eventId = await makeEvent(connection);
  const nobodys = { eventId: "no-such-event", holderId: "ann", seatIds: ["s:1:1"] };
  const noEvent = await refused(reservations.hold(nobodys));
  assert.equal(noEvent.code, Code.NOT_FOUND);
  assert.equal(noEvent.reason, "EVENT_NOT_FOUND");
  const seatIds = ["s:9:1", "s:9:2"];
  const noSeat = await refused(reservations.hold({ eventId, holderId: "ann", seatIds }));
  assert.equal(noSeat.reason, "SEAT_NOT_FOUND");
  assert.equal(noSeat.metadata["seat_ids"], "s:9:1,s:9:2");
  const hold = await reservations.hold({ eventId, holderId: "ann", seatIds: ["s:1:1"] });
  const another = await refused(reservations.release({ ...hold, holderId: "ben" }));
  assert.equal(another.reason, "HOLD_NOT_FOUND");
});

test("ids and quotas are refused by their names", async () => {
  const eventId = await makeEvent(connection, { maxUnitsPerHolder: 2 });
  const seatIds = ["s:1:1", "s:1:2"];
  const hold = await reservations.hold({ eventId, holderId: "ann", seatIds });
  const other = { eventId, holderId: "ann", holdId: hold.holdId, seatIds: ["s:1:5"] };
  assert.equal((await refused(reservations.hold(other))).reason, "HOLD_ID_REUSED");
  const third = { eventId, holderId: "ann", seatIds: ["s:1:3"] };
  const error = await refused(reservations.hold(third));
  assert.equal(error.code, Code.RESOURCE_EXHAUSTED);
  assert.equal(error.reason, "HOLDER_LIMIT_EXCEEDED");
  assert.deepEqual(
    error.quotas.map((each) => each.subject),
    ["max_units_per_holder"],
  );
  assert.ok(!error.isWorthRepeating);
});

test("who has to wait hears for how long", async () => {
  const eventId = await makeEvent(connection, { maxExpiredHolds: 1 });
  const lapses = { eventId, holderId: "ann", seatIds: ["s:1:1"] };
  await reservations.hold({ ...lapses, ttl: { nanos: 1_000_000 } });
  await eventually("its end", async () => {
    const { seats } = await reservations.getSeatMap(eventId);
    return so(seats.every(({ status }) => status === SeatStatus.AVAILABLE));
  });
  const request = { eventId, holderId: "ann", seatIds: ["s:1:2"] };
  const error = await refused(reservations.hold(request));
  assert.equal(error.code, Code.RESOURCE_EXHAUSTED);
  assert.equal(error.reason, "HOLDER_COOLING_DOWN");
  assert.ok(error.retryAfterMs && error.retryAfterMs > 0 && error.retryAfterMs <= 600_000);
  assert.ok(!error.isWorthRepeating, "not within a call's patience");
});

test("a hold of unknown outcome is found by its id", async () => {
  const eventId = await makeEvent(connection);
  const wire = await Wire.to(env("TARGET"));
  const cut = new Connection({ target: wire.address });
  const request = { eventId, holderId: "ann", holdId: randomUUID(), seatIds: ["s:2:1"] };
  try {
    await new Reservations(cut).getSeatMap(eventId);
    for (let round = 0; round < 5; round += 1) {
      setTimeout(() => wire.cut(), 2 * round);
      const hold = await new Reservations(cut).hold(request);
      assert.deepEqual([hold.holdId, hold.seatIds], [request.holdId, request.seatIds]);
    }
  } finally {
    cut.close();
    wire.close();
  }
});

test("what lasts longer than retries is waited for", async () => {
  const eventId = await makeEvent(connection);
  // gRPC's own five tries are over before it has tried to connect so often.
  const wire = await Wire.to(env("TARGET"), 6);
  const refused = new Connection({ target: wire.address });
  const request = { eventId, holderId: "ann", seatIds: ["s:3:1"] };
  const hold = await new Reservations(refused).hold(request);
  assert.deepEqual([wire.accepted, hold.seatIds], [1, request.seatIds]);
  refused.close();
  wire.close();
});

test("nobody there is told in time", async () => {
  const nowhere = new Connection({ target: "127.0.0.1:1" });
  const error = await refused(new Reservations(nowhere, 2_000).getHold("e", "h"));
  assert.ok(error.isOutcomeUnknown && error.isWorthRepeating);
  assert.equal(error.reason, "");
  nowhere.close();
});

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  // By the service config alone: these calls are made once.
  test(`a server that goes by ${signal} fails no call`, async () => {
    const [first, second] = [await Server.start(), await Server.start()];
    const both = new Connection({ target: `ipv4:${first.grpc},${second.grpc}` });
    const { hold, release } = ReservationService.method;
    let calls = 0;
    let isOver = false;
    try {
      const eventId = await makeEvent(connection, { rows: 8 });
      const buy = async (row: number): Promise<void> => {
        for (let n = 0; !isOver; n += 1) {
          const ids = { eventId, holderId: `h${row}`, holdId: randomUUID() };
          await both.unary(hold, { ...ids, seatIds: [`s:${row}:${(n % 25) + 1}`] });
          await both.unary(release, ids);
          calls += 1;
        }
      };
      const buyers = Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(buy));
      const over = buyers.catch(() => (isOver = true));
      for (const server of [first, second]) {
        await eventually("its share of calls", async () =>
          so(isOver || (await server.served("Hold"))),
        );
      }
      await first.stop(signal);
      const before = calls;
      await eventually("further calls", () => so(isOver || calls > before + 200));
      isOver = true;
      await over;
      await buyers;
    } finally {
      isOver = true;
      both.close();
      await Promise.all([first.stop(), second.stop()]);
    }
  });
}
