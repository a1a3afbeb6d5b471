"""The stream has no gap and no repetition, whatever ends it."""

import random
import threading
import uuid
from datetime import timedelta

import grpc
import pytest
from conftest import MakeEvent
from holdfast.v1 import catalog_pb2, event_pb2, seat_pb2
from holdfast.v1.catalog_pb2_grpc import CatalogServiceStub
from servers import Server, Wire, eventually

from holdfast_client import (
    Area,
    Changes,
    HoldfastError,
    House,
    Reservations,
    SeatStream,
    Settings,
    Snapshot,
    Viewers,
    connect,
)


SeatList = list[tuple[str, seat_pb2.SeatStatus.ValueType]]


class Reader:
    """Reads a stream in a thread, and writes down what was told."""

    def __init__(self, stream: SeatStream) -> None:
        self.stream = stream
        self.house = House()
        self.changes: SeatList = []
        self.snapshots = 0
        self.viewers = 0
        self.token = ""
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for told in self.stream:
                self.house.apply(told)
                if isinstance(told, Viewers):
                    self.viewers = told.active
                    continue
                if isinstance(told, Changes):
                    self.changes.extend(told.seats)
                else:
                    self.snapshots += 1
                self.token = told.resume_token
        except Exception as error:
            self.error = error

    def close(self) -> None:
        self.stream.close()
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()


def shown(reservations: Reservations, event_id: str) -> House:
    """The house as GetSeatMap has it."""
    answer = reservations.get_seat_map(event_id)
    return House(
        {seat.seat_id: seat.status for seat in answer.seats},
        {area.area_id: Area(area.available, area.capacity) for area in answer.areas},
    )


def toggle(reservations: Reservations, event_id: str, times: int) -> SeatList:
    """Holds and gives back, one after the other; answers what a stream must tell."""
    told: SeatList = []
    for n in range(times):
        seat = f"s:{n % 4 + 1}:{n % 25 + 1}"
        hold = reservations.hold(event_id, "ann", seat_ids=[seat])
        reservations.release(hold)
        told += [(seat, seat_pb2.SEAT_STATUS_HELD), (seat, seat_pb2.SEAT_STATUS_AVAILABLE)]
    return told


def test_changes_after_cuts_are_told_once(
    target: str, reservations: Reservations, event_id: str
) -> None:
    wire = Wire(target)
    with connect(Settings(target=wire.address)) as cut:
        reader = Reader(SeatStream(cut, event_id))
        eventually("a snapshot", lambda: reader.token or None)
        made: SeatList = []
        for _ in range(6):
            made += toggle(reservations, event_id, random.randint(5, 15))
            wire.cut()
        last = reservations.hold(event_id, "ann", seat_ids=["s:4:25"], areas={"floor": 7})
        made.append((last.seat_ids[0], seat_pb2.SEAT_STATUS_HELD))
        eventually("the last change", lambda: made[-1:] == reader.changes[-1:] or None)
        reader.close()
    wire.close()
    assert reader.error is None
    assert wire.accepted >= 6, "it was cut"
    assert reader.snapshots == 1, "it went on from its token"
    assert reader.changes == made, "no gap, no repetition, in order"
    assert reader.house == shown(reservations, event_id)


def test_a_drain_is_not_seen(
    two_servers: tuple[Server, Server], reservations: Reservations, event_id: str
) -> None:
    first, second = two_servers
    with connect(Settings(target=f"ipv4:{first.grpc},{second.grpc}")) as both:
        reader = Reader(SeatStream(both, event_id))
        eventually("a snapshot", lambda: reader.token or None)
        metric = "holdfast_stream_subscribers"
        has_it = first if first.metric(metric) else second
        other = second if has_it is first else first
        assert (has_it.metric(metric), other.metric(metric)) == (1, 0)
        made = toggle(reservations, event_id, 10)
        has_it.stop()
        made += toggle(reservations, event_id, 10)
        eventually("the last change", lambda: len(reader.changes) >= len(made) or None)
        assert other.metric(metric) == 1
        reader.close()
    assert (reader.error, reader.snapshots) == (None, 1)
    assert reader.changes == made
    assert reader.house == shown(reservations, event_id)


def test_a_token_goes_on_in_another_process(
    channel: grpc.Channel, reservations: Reservations, event_id: str
) -> None:
    first = Reader(SeatStream(channel, event_id))
    eventually("a snapshot", lambda: first.token or None)
    first.close()
    made = toggle(reservations, event_id, 5)
    second = Reader(SeatStream(channel, event_id, resume_token=first.token))
    eventually("what came after", lambda: len(second.changes) >= len(made) or None)
    second.close()
    assert (second.snapshots, second.changes) == (0, made)


@pytest.mark.parametrize("packed", [False, True])
def test_a_big_house_comes_whole(
    packed: bool,
    channel: grpc.Channel,
    reservations: Reservations,
    make_event: MakeEvent,
) -> None:
    """More seats than one message has, so named snapshots come in parts."""
    event_id = make_event(rows=30, seats=150)
    reservations.hold(event_id, "ann", seat_ids=["s:1:1", "s:29:77", "s:30:150"])
    reader = Reader(SeatStream(channel, event_id, packed=packed))
    eventually("a snapshot", lambda: reader.token or None)
    assert len(reader.house.seats) == 4_500
    assert reader.house == shown(reservations, event_id)
    # A chart that grows begins the stream anew; a packed one needs its names.
    seat = event_pb2.Seat(seat_id="new", price_category_id="p")
    row = event_pb2.Row(row_id="31", seats=[seat])
    request = catalog_pb2.AddSeatsRequest(event_id=event_id, section_id="s", rows=[row])
    CatalogServiceStub(channel).AddSeats(request)
    eventually("the new seat", lambda: "new" in reader.house.seats or None)
    assert reader.house == shown(reservations, event_id)
    reader.close()
    assert reader.error is None


def test_who_watches_is_counted(channel: grpc.Channel, event_id: str) -> None:
    reader = Reader(SeatStream(channel, event_id, viewer_id=f"v-{uuid.uuid4()}"))
    eventually("one viewer", lambda: reader.viewers == 1 or None)
    reader.close()


def test_a_definite_no_ends_it(channel: grpc.Channel) -> None:
    with pytest.raises(HoldfastError) as told:
        next(iter(SeatStream(channel, "no-such-event")))
    assert told.value.reason == "EVENT_NOT_FOUND"


def test_silence_ends_it() -> None:
    with connect(Settings(target="127.0.0.1:1")) as nowhere:
        stream = SeatStream(nowhere, "demo", patience=timedelta(seconds=1))
        with pytest.raises(HoldfastError) as told:
            next(iter(stream))
    assert told.value.code == grpc.StatusCode.UNAVAILABLE


def test_the_snapshot_is_the_first_that_is_told(channel: grpc.Channel, event_id: str) -> None:
    stream = SeatStream(channel, event_id)
    told = next(told for told in stream if not isinstance(told, Viewers))
    stream.close()
    assert isinstance(told, Snapshot) and len(told.seats) == 100
    assert set(told.seats.values()) == {seat_pb2.SEAT_STATUS_AVAILABLE}
