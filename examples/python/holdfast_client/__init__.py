"""A client of Holdfast: holds, confirms and watches seats.

`docs/CLIENTS.md` says what a client must do, and why; this does it.
"""

from .connection import Settings, connect
from .errors import FieldViolation, HoldfastError, Precondition, Quota
from .reservations import Reservations
from .seat_stream import Area, Changes, House, SeatStream, Snapshot, Viewers

__all__ = [
    "Area",
    "Changes",
    "FieldViolation",
    "HoldfastError",
    "House",
    "Precondition",
    "Quota",
    "Reservations",
    "SeatStream",
    "Settings",
    "Snapshot",
    "Viewers",
    "connect",
]
