"""Hold, Confirm, Release: repeated under the same ids until there is an answer."""

import random
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration
from holdfast.v1 import reservation_pb2 as pb
from holdfast.v1.reservation_pb2_grpc import ReservationServiceStub

from .errors import HoldfastError

_Answer = TypeVar("_Answer")

DEFAULT_PATIENCE = timedelta(seconds=60)
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


class Reservations:
    """ReservationService over a channel.

    The channel's service config repeats a call for a second or two, as any gRPC client
    does. Where that was not enough, this goes on with the same ids until `patience` is
    over: a call whose answer was lost may have taken effect, and only the same call again
    tells. Every method raises HoldfastError; one that `is_outcome_unknown` is not a no.
    """

    def __init__(
        self, channel: grpc.Channel, patience: timedelta = DEFAULT_PATIENCE
    ) -> None:
        self._stub = ReservationServiceStub(channel)
        self._patience = patience

    def hold(
        self,
        event_id: str,
        holder_id: str,
        *,
        seat_ids: Iterable[str] = (),
        areas: Mapping[str, int] | None = None,
        best_available: pb.BestAvailable | None = None,
        ttl: timedelta | None = None,
        hold_id: str | None = None,
        admission_token: str = "",
    ) -> pb.Hold:
        """Takes all of it or nothing.

        Name a `hold_id` that you have written down first, and the hold is found again
        even if this process ends before the answer comes.
        """
        request = pb.HoldRequest(
            event_id=event_id,
            holder_id=holder_id,
            # Never left to the server: what has no id cannot be asked for again.
            hold_id=hold_id or str(uuid.uuid4()),
            seat_ids=seat_ids,
            areas=_areas(areas),
            best_available=best_available,
            ttl=_duration(ttl),
            admission_token=admission_token,
        )
        return repeat(self._stub.Hold, request, self._patience).hold

    def extend(self, hold: pb.Hold, ttl: timedelta) -> pb.Hold:
        """Moves the end of a hold to now + ttl."""
        request = pb.ExtendHoldRequest(
            event_id=hold.event_id,
            hold_id=hold.hold_id,
            holder_id=hold.holder_id,
            ttl=_duration(ttl),
        )
        return repeat(self._stub.ExtendHold, request, self._patience).hold

    def release(
        self,
        hold: pb.Hold,
        *,
        seat_ids: Iterable[str] = (),
        areas: Mapping[str, int] | None = None,
    ) -> pb.Hold:
        """Gives back what is named, or all of it."""
        request = pb.ReleaseRequest(
            event_id=hold.event_id,
            hold_id=hold.hold_id,
            holder_id=hold.holder_id,
            seat_ids=seat_ids,
            areas=_areas(areas),
        )
        return repeat(self._stub.Release, request, self._patience).hold

    def confirm(self, hold: pb.Hold, payment_reference: str) -> pb.Order:
        """Sells the hold. Again, with the same reference, is the same order."""
        request = pb.ConfirmRequest(
            event_id=hold.event_id,
            hold_id=hold.hold_id,
            holder_id=hold.holder_id,
            payment_reference=payment_reference,
        )
        return repeat(self._stub.Confirm, request, self._patience).order

    def get_hold(self, event_id: str, hold_id: str) -> pb.Hold:
        """A hold as it is, or as it ended."""
        request = pb.GetHoldRequest(event_id=event_id, hold_id=hold_id)
        return repeat(self._stub.GetHold, request, self._patience).hold

    def get_seat_map(self, event_id: str) -> pb.GetSeatMapResponse:
        """One consistent picture of the house."""
        request = pb.GetSeatMapRequest(event_id=event_id)
        return repeat(self._stub.GetSeatMap, request, self._patience)


def repeat(
    call: Callable[..., _Answer], request: object, patience: timedelta
) -> _Answer:
    """Makes a call, again and again where that may help, until `patience` is over."""
    deadline = time.monotonic() + patience.total_seconds()
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return call(request, timeout=max(deadline - time.monotonic(), 0.001))
        except grpc.RpcError as failure:
            error = HoldfastError.of(failure)
        told_s = error.retry_after.total_seconds() if error.retry_after else 0.0
        # Not all at once: whoever was refused together would come back together.
        wait_s = max(told_s, pause_s) * random.uniform(0.5, 1.5)
        if not error.is_worth_repeating or time.monotonic() + wait_s > deadline:
            raise error
        time.sleep(wait_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _areas(areas: Mapping[str, int] | None) -> list[pb.AreaQuantity]:
    return [pb.AreaQuantity(area_id=id, quantity=n) for id, n in (areas or {}).items()]


def _duration(span: timedelta | None) -> Duration | None:
    if span is None:
        return None
    duration = Duration()
    duration.FromTimedelta(span)
    return duration
