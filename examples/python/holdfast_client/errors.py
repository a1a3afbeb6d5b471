"""What an error tells, read from its details."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2 as details_pb2
from grpc_status import rpc_status

_DOMAIN = "holdfast"
# Made by the network or a deadline, not by a server that says what it did.
_MAYBE_DONE = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNKNOWN,
}


@dataclass(frozen=True)
class FieldViolation:
    """A field that is malformed, such as `areas[0].quantity`, and why."""

    field: str
    description: str


@dataclass(frozen=True)
class Precondition:
    """What stands in the way: `SEAT_HELD` and a seat, `AREA_CAPACITY` and an area."""

    type: str
    subject: str
    description: str


@dataclass(frozen=True)
class Quota:
    """A limit that the call would go beyond."""

    subject: str
    description: str


class HoldfastError(Exception):
    """A call that failed.

    `reason` is a name of the contract's `ErrorReason` without its prefix, such as
    `SEAT_UNAVAILABLE`; empty where the failure is not Holdfast's: the network's, mostly.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = ""
        self.metadata: Mapping[str, str] = {}
        self.fields: list[FieldViolation] = []
        self.preconditions: list[Precondition] = []
        self.quotas: list[Quota] = []
        self.retry_after: timedelta | None = None

    @classmethod
    def of(cls, error: grpc.RpcError) -> "HoldfastError":
        """Reads `google.rpc.Status` from the trailers, and all that is in it."""
        if not isinstance(error, grpc.Call):
            return cls(grpc.StatusCode.UNKNOWN, str(error))
        told = cls(error.code(), error.details() or "")
        status = rpc_status.from_call(error)
        for detail in status.details if status else ():
            told._read(detail)
        return told

    def _read(self, detail: Any) -> None:
        info = details_pb2.ErrorInfo()
        bad_request = details_pb2.BadRequest()
        precondition = details_pb2.PreconditionFailure()
        quota = details_pb2.QuotaFailure()
        retry = details_pb2.RetryInfo()
        if detail.Unpack(info):
            if info.domain == _DOMAIN:
                self.reason = info.reason
                self.metadata = dict(info.metadata)
        elif detail.Unpack(bad_request):
            self.fields = [
                FieldViolation(v.field, v.description) for v in bad_request.field_violations
            ]
        elif detail.Unpack(precondition):
            self.preconditions = [
                Precondition(v.type, v.subject, v.description) for v in precondition.violations
            ]
        elif detail.Unpack(quota):
            self.quotas = [Quota(v.subject, v.description) for v in quota.violations]
        elif detail.Unpack(retry):
            self.retry_after = retry.retry_delay.ToTimedelta()

    @property
    def unavailable_seats(self) -> list[str]:
        """Seats that are held, sold or blocked; at most 60 are named."""
        kinds = {"SEAT_HELD", "SEAT_SOLD", "SEAT_BLOCKED"}
        return [each.subject for each in self.preconditions if each.type in kinds]

    @property
    def is_outcome_unknown(self) -> bool:
        """Whether the call may have taken effect: the same ids again tell."""
        if self.reason:
            return self.reason in {"OUTCOME_UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL"}
        return self.code in _MAYBE_DONE

    @property
    def is_worth_repeating(self) -> bool:
        """Whether the same call with the same ids may be answered otherwise soon."""
        if self.reason:
            return self.reason in {
                "DEADLINE_EXCEEDED",
                "OUTCOME_UNKNOWN",
                "OVERLOADED",
                "SERVER_DRAINING",
                "STORE_UNAVAILABLE",
            }
        return self.code in _MAYBE_DONE

    def __str__(self) -> str:
        return f"{self.code.name} {self.reason}: {self.message}"
