"""Holding, selling, giving back; and every kind of no."""

import threading
import time
import uuid
from datetime import timedelta

import grpc
import pytest
from conftest import MakeEvent
from google.protobuf.json_format import MessageToDict
from holdfast.v1 import reservation_pb2 as pb
from holdfast.v1 import seat_pb2
from holdfast.v1.reservation_pb2_grpc import ReservationServiceStub
from servers import Server, Wire, eventually

from holdfast_client import FieldViolation, HoldfastError, Reservations, Settings, connect


def refused(call: object, *args: object, **named: object) -> HoldfastError:
    with pytest.raises(HoldfastError) as told:
        call(*args, **named)  # type: ignore[operator]
    return told.value


def test_hold_confirm_and_again(reservations: Reservations, event_id: str) -> None:
    hold_id = str(uuid.uuid4())
    seats = ["s:1:1", "s:1:2"]
    hold = reservations.hold(
        event_id, "ann", seat_ids=seats, areas={"floor": 2}, hold_id=hold_id
    )
    assert list(hold.seat_ids) == seats and hold.state == pb.HOLD_STATE_ACTIVE
    again = reservations.hold(
        event_id, "ann", seat_ids=seats, areas={"floor": 2}, hold_id=hold_id
    )
    assert again == hold
    order = reservations.confirm(hold, f"pay-{hold_id}")
    assert order.total.units == 120 and len(order.tickets) == 4
    assert MessageToDict(reservations.confirm(hold, f"pay-{hold_id}")) == MessageToDict(order)
    assert reservations.get_hold(event_id, hold_id).order_id == order.order_id


def test_release_and_again(reservations: Reservations, event_id: str) -> None:
    hold = reservations.hold(event_id, "ann", seat_ids=["s:1:1", "s:1:2"])
    left = reservations.release(hold, seat_ids=["s:1:1"])
    assert list(left.seat_ids) == ["s:1:2"] and left.state == pb.HOLD_STATE_ACTIVE
    assert reservations.release(hold).state == pb.HOLD_STATE_RELEASED
    assert reservations.release(hold).state == pb.HOLD_STATE_RELEASED
    error = refused(reservations.confirm, hold, f"pay-{hold.hold_id}")
    assert (error.code, error.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "HOLD_RELEASED",
    )
    assert error.metadata["hold_id"] == hold.hold_id


def test_who_comes_too_late_hears_of_every_seat(
    reservations: Reservations, event_id: str
) -> None:
    reservations.hold(event_id, "ann", seat_ids=["s:1:1"])
    sold = reservations.hold(event_id, "cyd", seat_ids=["s:1:3"])
    reservations.confirm(sold, f"pay-{sold.hold_id}")
    error = refused(
        reservations.hold, event_id, "ben", seat_ids=["s:1:1", "s:1:2", "s:1:3"]
    )
    assert error.reason == "SEAT_UNAVAILABLE"
    assert error.unavailable_seats == ["s:1:1", "s:1:3"]
    assert [each.type for each in error.preconditions] == ["SEAT_HELD", "SEAT_SOLD"]
    assert error.metadata["unavailable_seats"] == "2"
    assert not error.is_worth_repeating and not error.is_outcome_unknown
    short = refused(reservations.hold, event_id, "ben", areas={"floor": 51})
    assert short.reason in {"INSUFFICIENT_CAPACITY", "HOLDER_LIMIT_EXCEEDED"}


def test_all_bad_fields_are_named(reservations: Reservations, event_id: str) -> None:
    error = refused(
        reservations.hold,
        event_id,
        "no spaces allowed",
        seat_ids=["s:1:1", "s:1:1"],
        areas={"floor": 0},
        ttl=timedelta(days=30),
    )
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    fields = {violation.field for violation in error.fields}
    assert {"holder_id", "seat_ids[1]", "areas[0].quantity"} <= fields, error.fields
    assert all(isinstance(each, FieldViolation) and each.description for each in error.fields)
    assert error.metadata["violations"] == str(len(error.fields))


def test_what_is_not_there(reservations: Reservations, event_id: str) -> None:
    error = refused(reservations.hold, "no-such-event", "ann", seat_ids=["s:1:1"])
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "EVENT_NOT_FOUND")
    error = refused(reservations.hold, event_id, "ann", seat_ids=["s:9:1", "s:9:2"])
    assert error.reason == "SEAT_NOT_FOUND"
    assert error.metadata["seat_ids"] == "s:9:1,s:9:2"
    hold = reservations.hold(event_id, "ann", seat_ids=["s:1:1"])
    other = pb.Hold(event_id=event_id, hold_id=hold.hold_id, holder_id="ben")
    error = refused(reservations.release, other)
    assert (error.reason, error.metadata["hold_id"]) == ("HOLD_NOT_FOUND", hold.hold_id)


def test_an_id_is_used_once(reservations: Reservations, event_id: str) -> None:
    hold = reservations.hold(event_id, "ann", seat_ids=["s:1:1"])
    error = refused(
        reservations.hold, event_id, "ann", seat_ids=["s:1:2"], hold_id=hold.hold_id
    )
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "HOLD_ID_REUSED")


def test_a_limit_names_its_quota(reservations: Reservations, make_event: MakeEvent) -> None:
    event_id = make_event(max_units_per_holder=2)
    reservations.hold(event_id, "ann", seat_ids=["s:1:1", "s:1:2"])
    error = refused(reservations.hold, event_id, "ann", seat_ids=["s:1:3"])
    assert error.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.reason == "HOLDER_LIMIT_EXCEEDED"
    assert [quota.subject for quota in error.quotas] == ["max_units_per_holder"]
    assert not error.is_worth_repeating and error.retry_after is None


def test_who_has_to_wait_hears_for_how_long(
    reservations: Reservations, make_event: MakeEvent
) -> None:
    event_id = make_event(max_expired_holds=1)
    short = timedelta(milliseconds=1)
    hold = reservations.hold(event_id, "ann", seat_ids=["s:1:1"], ttl=short)
    eventually("its end", lambda: has_expired(reservations, hold) or None)
    error = refused(reservations.hold, event_id, "ann", seat_ids=["s:1:2"])
    assert error.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.reason == "HOLDER_COOLING_DOWN"
    assert error.retry_after and 0 < error.retry_after.total_seconds() <= 600
    assert not error.is_worth_repeating, "not within a call's patience"


def has_expired(reservations: Reservations, hold: pb.Hold) -> bool:
    # As the sweep has seen it: its seats are free for whoever looks.
    seats = reservations.get_seat_map(hold.event_id).seats
    return all(seat.status == seat_pb2.SEAT_STATUS_AVAILABLE for seat in seats)


def test_a_hold_of_unknown_outcome_is_found_by_its_id(
    target: str, reservations: Reservations, event_id: str
) -> None:
    """The answer is lost on the wire; the same id again tells."""
    wire = Wire(target)
    hold_id = str(uuid.uuid4())
    try:
        with connect(Settings(target=wire.address)) as cut:
            grpc.channel_ready_future(cut).result(timeout=10)
            for round in range(5):
                threading.Timer(0.002 * round, wire.cut).start()
                hold = Reservations(cut).hold(
                    event_id, "ann", seat_ids=["s:2:1"], hold_id=hold_id
                )
                assert (hold.hold_id, list(hold.seat_ids)) == (hold_id, ["s:2:1"])
    finally:
        wire.close()
    assert reservations.get_hold(event_id, hold_id).state == pb.HOLD_STATE_ACTIVE


def test_what_lasts_longer_than_retries_is_waited_for(target: str, event_id: str) -> None:
    # gRPC's own five tries are over before it has tried to connect so often.
    wire = Wire(target, refused=6)
    with connect(Settings(target=wire.address)) as refused:
        hold = Reservations(refused).hold(event_id, "ann", seat_ids=["s:3:1"])
    wire.close()
    assert (wire.accepted, list(hold.seat_ids)) == (1, ["s:3:1"])


def test_nobody_there_is_told_in_time() -> None:
    with connect(Settings(target="127.0.0.1:1")) as nowhere:
        begun = time.monotonic()
        error = refused(
            Reservations(nowhere, patience=timedelta(seconds=3)).get_hold, "e", "h"
        )
    nobody = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert error.code in nobody
    assert error.reason == "" and error.is_outcome_unknown and error.is_worth_repeating
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("end", [Server.stop, Server.kill])
def test_a_server_that_goes_fails_no_call(
    end: object, two_servers: tuple[Server, Server], make_event: MakeEvent
) -> None:
    """By the service config alone: these calls are made once, by a plain stub."""
    first, second = two_servers
    event_id = make_event(rows=8)
    failed: list[grpc.RpcError] = []
    held: list[str] = []
    is_over = threading.Event()
    with connect(Settings(target=f"ipv4:{first.grpc},{second.grpc}")) as both:
        stub = ReservationServiceStub(both)

        def buy(row: int) -> None:
            for n in range(1_000_000):
                if is_over.is_set():
                    return
                hold = pb.HoldRequest(
                    event_id=event_id,
                    holder_id=f"h{row}",
                    hold_id=str(uuid.uuid4()),
                    seat_ids=[f"s:{row}:{n % 25 + 1}"],
                )
                release = pb.ReleaseRequest(
                    event_id=event_id, holder_id=hold.holder_id, hold_id=hold.hold_id
                )
                try:
                    stub.Hold(hold)
                    stub.Release(release)
                    held.append(hold.hold_id)
                except grpc.RpcError as error:
                    failed.append(error)

        buyers = [threading.Thread(target=buy, args=(row,)) for row in range(1, 9)]
        for buyer in buyers:
            buyer.start()
        try:
            served = [wait_for_calls(server) for server in two_servers]
            end(first)  # type: ignore[operator]
            before = len(held)
            while len(held) < before + 200 and not failed:
                time.sleep(0.01)
        finally:
            is_over.set()
            for buyer in buyers:
                buyer.join()
    assert not failed, failed[:3]
    assert all(count > 0 for count in served), "both had calls"


def wait_for_calls(server: Server) -> float:
    return eventually("its share of calls", lambda: server.served("Hold") or None)
