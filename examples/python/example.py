"""Watches an event, holds the two best seats, and buys them.

    ./generate && PYTHONPATH=gen python3 example.py [EVENT]

Settings are those of `holdfast_client.Settings`, by environment.
"""

import sys
import threading
import uuid

from holdfast.v1 import reservation_pb2 as pb
from holdfast.v1 import seat_pb2
from holdfast_client import (
    Changes,
    HoldfastError,
    House,
    Reservations,
    SeatStream,
    Settings,
    Snapshot,
    connect,
)


def watch(stream: SeatStream, is_sold: threading.Event, is_there: threading.Event) -> None:
    house = House()
    for told in stream:
        house.apply(told)
        if isinstance(told, Snapshot):
            print(f"the house has {len(told.seats)} seats")
            is_there.set()
        elif isinstance(told, Changes):
            changed = [f"{seat} {seat_pb2.SeatStatus.Name(status)}" for seat, status in told.seats]
            print("changed:", ", ".join(changed))
            if any(status == seat_pb2.SEAT_STATUS_SOLD for _, status in told.seats):
                is_sold.set()


def main() -> int:
    event_id = sys.argv[1] if len(sys.argv) > 1 else "demo"
    with connect(Settings.from_environment()) as channel:
        reservations = Reservations(channel)
        stream = SeatStream(channel, event_id)
        is_sold, is_there = threading.Event(), threading.Event()
        watcher = threading.Thread(target=watch, args=(stream, is_sold, is_there), daemon=True)
        watcher.start()
        is_there.wait(timeout=10)
        try:
            best = pb.BestAvailable(quantity=2)
            hold = reservations.hold(event_id, "ann", best_available=best)
            print("held:", ", ".join(hold.seat_ids))
            order = reservations.confirm(hold, f"example-{uuid.uuid4()}")
            total = f"{order.total.units} {order.total.currency_code}"
            print(f"bought: order {order.order_id}, {total}")
        except HoldfastError as error:
            print(f"refused: {error}", file=sys.stderr)
            return 1
        finally:
            is_sold.wait(timeout=10)
            stream.close()
            watcher.join(timeout=10)
    return 0


if __name__ == "__main__":
    sys.exit(main())
