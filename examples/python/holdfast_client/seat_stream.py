"""StreamSeatUpdates as a stream without gaps, over cuts, drains and restarts."""

import random
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import grpc
from holdfast.v1 import catalog_pb2, seat_pb2
from holdfast.v1 import reservation_pb2 as pb
from holdfast.v1.catalog_pb2_grpc import CatalogServiceStub
from holdfast.v1.reservation_pb2_grpc import ReservationServiceStub

from .errors import HoldfastError
from .reservations import DEFAULT_PATIENCE

SeatStatus = seat_pb2.SeatStatus
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
# A definite no: opening the stream again would say the same.
_ENDS = {
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
}


@dataclass(frozen=True)
class Area:
    """What is left of an area, and how many units it has in all."""

    available: int
    capacity: int


@dataclass
class Snapshot:
    """The whole house; all that was told before is to be forgotten."""

    seats: dict[str, SeatStatus.ValueType]
    areas: dict[str, Area]
    resume_token: str


@dataclass
class Changes:
    """What has changed, in the order in which it did; the last of a seat stands."""

    seats: list[tuple[str, SeatStatus.ValueType]]
    areas: list[tuple[str, Area]]
    resume_token: str


@dataclass(frozen=True)
class Viewers:
    """How many watch the event."""

    active: int


Told = Snapshot | Changes | Viewers


@dataclass
class House:
    """What a stream has told, put together."""

    seats: dict[str, SeatStatus.ValueType] = field(default_factory=dict)
    areas: dict[str, Area] = field(default_factory=dict)

    def apply(self, told: Told) -> None:
        """Takes one more thing that was told."""
        if isinstance(told, Snapshot):
            self.seats, self.areas = dict(told.seats), dict(told.areas)
        elif isinstance(told, Changes):
            self.seats.update(told.seats)
            self.areas.update(told.areas)


class SeatStream:
    """Iterate over it in a thread of its own, and `close` it from any other.

    It opens the stream again at whichever server answers, from the last token that was
    told; what it yields has no gap and no repetition. It raises HoldfastError after a
    definite no, or where nothing was heard for `patience`.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        event_id: str,
        *,
        resume_token: str = "",
        viewer_id: str = "",
        packed: bool = False,
        patience: timedelta = DEFAULT_PATIENCE,
    ) -> None:
        self._stub = ReservationServiceStub(channel)
        self._chart = _Chart(CatalogServiceStub(channel), event_id) if packed else None
        self._request = pb.StreamSeatUpdatesRequest(
            event_id=event_id, resume_token=resume_token, viewer_id=viewer_id
        )
        if packed:
            self._request.snapshot_format = seat_pb2.SNAPSHOT_FORMAT_PACKED
        self._patience_s = patience.total_seconds()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._call: grpc.Call | None = None
        self._has_begun = False

    def close(self) -> None:
        """Ends the iteration, soon."""
        self._closed.set()
        with self._lock:
            if self._call:
                self._call.cancel()

    def __iter__(self) -> Iterator[Told]:
        heard = time.monotonic()
        pause_s = _FIRST_PAUSE_S
        while not self._closed.is_set():
            try:
                for told in self._read():
                    heard, pause_s = time.monotonic(), _FIRST_PAUSE_S
                    yield told
            except grpc.RpcError as failure:
                error = HoldfastError.of(failure)
                if self._closed.is_set():
                    return
                is_late = time.monotonic() - heard > self._patience_s
                # A stream ends with the token that opened it; there may be a new one.
                is_outdated = error.code is grpc.StatusCode.UNAUTHENTICATED and self._has_begun
                if is_late or (error.code in _ENDS and not is_outdated):
                    raise error from failure
            self._closed.wait(pause_s * random.uniform(0.5, 1.5))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _read(self) -> Iterator[Told]:
        """One call, to its end."""
        call = self._stub.StreamSeatUpdates(self._request)
        self._has_begun = False
        with self._lock:
            self._call = call
        if self._closed.is_set():
            call.cancel()
        # What came in parts counts when its last part has come, with a token.
        part: Snapshot | Changes | None = None
        try:
            for message in call:
                self._has_begun = True
                kind = message.WhichOneof("message")
                if kind == "heartbeat":
                    yield Viewers(message.heartbeat.active_viewers)
                    continue
                if kind == "snapshot":
                    if not isinstance(part, Snapshot):
                        part = Snapshot({}, {}, "")
                    if message.snapshot.HasField("packed_seats"):
                        names = self._names(message.snapshot.packed_seats)
                        if names is None:
                            self._request.resume_token = ""
                            return
                        part.seats = names
                    part.seats.update((s.seat_id, s.status) for s in message.snapshot.seats)
                    part.areas.update(_areas(message.snapshot.areas))
                elif kind == "updates":
                    if not isinstance(part, Changes):
                        part = Changes([], [], "")
                    part.seats.extend((s.seat_id, s.status) for s in message.updates.seats)
                    part.areas.extend(_areas(message.updates.areas))
                if not message.resume_token:
                    continue
                self._request.resume_token = message.resume_token
                if part:
                    part.resume_token = message.resume_token
                    yield part
                    part = None
        finally:
            call.cancel()

    def _names(self, packed: seat_pb2.PackedSeats) -> dict[str, SeatStatus.ValueType] | None:
        return self._chart.read(packed) if self._chart else None


class _Chart:
    """The seats' names in the order of packed snapshots."""

    def __init__(self, catalog: CatalogServiceStub, event_id: str) -> None:
        self._catalog = catalog
        self._event_id = event_id
        self._version = -1
        self._names: list[str] = []

    def read(self, packed: seat_pb2.PackedSeats) -> dict[str, SeatStatus.ValueType] | None:
        """Nothing where the chart has grown since the snapshot: ask for another."""
        if self._version != packed.chart_version:
            request = catalog_pb2.GetEventRequest(event_id=self._event_id)
            answer = self._catalog.GetEvent(request)
            self._version = answer.chart_version
            self._names = [
                seat.seat_id
                for section in answer.chart.sections
                for row in section.rows
                for seat in row.seats
            ]
        if self._version != packed.chart_version:
            return None
        by_bits: list[SeatStatus.ValueType] = [
            seat_pb2.SEAT_STATUS_AVAILABLE,
            seat_pb2.SEAT_STATUS_HELD,
            seat_pb2.SEAT_STATUS_SOLD,
            seat_pb2.SEAT_STATUS_BLOCKED,
        ]
        statuses = packed.statuses
        return {
            name: by_bits[statuses[n // 4] >> (2 * (n % 4)) & 3]
            for n, name in enumerate(self._names)
        }


def _areas(areas: Iterable[seat_pb2.AreaState]) -> list[tuple[str, Area]]:
    return [(area.area_id, Area(area.available, area.capacity)) for area in areas]
