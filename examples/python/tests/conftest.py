"""What the tests share: a channel to the stage, and an event of each test's own."""

import os
import uuid
from collections.abc import Callable, Iterator

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money
from holdfast.v1 import catalog_pb2, event_pb2
from holdfast.v1.catalog_pb2_grpc import CatalogServiceStub
from servers import Server

from holdfast_client import Reservations, Settings, connect

ROWS, SEATS = 4, 25
MakeEvent = Callable[..., str]


@pytest.fixture(scope="session")
def target() -> str:
    return os.environ["HOLDFAST_TEST_TARGET"]


@pytest.fixture(scope="session")
def channel(target: str) -> Iterator[grpc.Channel]:
    with connect(Settings(target=target)) as channel:
        yield channel


@pytest.fixture
def reservations(channel: grpc.Channel) -> Reservations:
    return Reservations(channel)


@pytest.fixture
def make_event(channel: grpc.Channel) -> MakeEvent:
    """Makes an event: seats s:ROW:SEAT, from 1 up, and 50 units of `floor`."""

    def make(
        rows: int = ROWS,
        seats: int = SEATS,
        max_units_per_holder: int = 0,
        max_expired_holds: int = 0,
    ) -> str:
        event_id = f"python-{uuid.uuid4()}"
        price = event_pb2.PriceCategory(
            price_category_id="p", name="P", price=Money(currency_code="EUR", units=30)
        )
        section = event_pb2.Section(
            section_id="s",
            name="S",
            rows=[
                event_pb2.Row(
                    row_id=str(row),
                    seats=[
                        event_pb2.Seat(seat_id=f"s:{row}:{seat}", price_category_id="p")
                        for seat in range(1, seats + 1)
                    ],
                )
                for row in range(1, rows + 1)
            ],
        )
        area = event_pb2.Area(area_id="floor", name="Floor", capacity=50, price_category_id="p")
        event = event_pb2.Event(
            event_id=event_id,
            name="A night",
            venue="The house",
            city="Paris",
            start_time=Timestamp(seconds=1_900_000_000),
            max_units_per_holder=max_units_per_holder,
            max_expired_holds=max_expired_holds,
        )
        chart = event_pb2.Chart(price_categories=[price], sections=[section], areas=[area])
        request = catalog_pb2.CreateEventRequest(event=event, chart=chart)
        CatalogServiceStub(channel).CreateEvent(request)
        return event_id

    return make


@pytest.fixture
def event_id(make_event: MakeEvent) -> str:
    return make_event()


@pytest.fixture
def two_servers() -> Iterator[tuple[Server, Server]]:
    first = Server()
    second = Server()
    yield first, second
    first.stop()
    second.stop()
