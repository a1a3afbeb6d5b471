"""A server that asks who calls, over TLS."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import jwt
import pytest
from servers import Server, credentials, eventually, secure
from test_seat_stream import Reader, SeatList, toggle

from holdfast_client import HoldfastError, Reservations, SeatStream, Settings, connect


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server(**secure())
    yield server
    server.stop()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "token"


@pytest.fixture
def settings(server: Server, token_file: Path) -> Settings:
    return Settings(
        target=server.grpc,
        ca_file=credentials() / "ca.pem",
        token_file=token_file,
        server_name="holdfast.internal",
    )


def token(role: str, until: float | None = None) -> str:
    claims = {
        "sub": "shop",
        "aud": "holdfast",
        "roles": role,
        "exp": until or time.time() + 60,
    }
    return jwt.encode(claims, (credentials() / "tokens.key").read_text(), "ES256")


def test_a_token_says_who_calls(settings: Settings, token_file: Path, event_id: str) -> None:
    with connect(settings) as channel:
        reservations = Reservations(channel)
        token_file.write_text("nonsense")
        with pytest.raises(HoldfastError) as told:
            reservations.get_seat_map(event_id)
        assert told.value.code == grpc.StatusCode.UNAUTHENTICATED
        assert told.value.reason == "UNAUTHENTICATED"
        token_file.write_text(token("viewer"))
        assert len(reservations.get_seat_map(event_id).seats) == 100
        with pytest.raises(HoldfastError) as told:
            reservations.hold(event_id, "ann", seat_ids=["s:1:1"])
        assert told.value.code == grpc.StatusCode.PERMISSION_DENIED
        assert (told.value.reason, told.value.metadata["role"]) == ("ROLE_REQUIRED", "reserver")
        # Replaced, it is taken from the next call on.
        token_file.write_text(token("confirmer"))
        hold = reservations.hold(event_id, "ann", seat_ids=["s:1:1"])
        assert reservations.confirm(hold, f"pay-{hold.hold_id}").order_id


def test_a_certificate_says_who_calls(settings: Settings, event_id: str) -> None:
    shop = replace(
        settings,
        token_file=None,
        cert_file=credentials() / "shop.pem",
        key_file=credentials() / "shop.key",
    )
    with connect(shop) as channel:
        hold = Reservations(channel).hold(event_id, "ann", seat_ids=["s:1:1"])
        assert Reservations(channel).confirm(hold, f"pay-{hold.hold_id}").order_id
    with connect(replace(settings, token_file=None)) as channel:
        with pytest.raises(HoldfastError) as told:
            Reservations(channel).get_seat_map(event_id)
        assert told.value.reason == "UNAUTHENTICATED"


def test_a_stream_outlives_its_token(
    settings: Settings, token_file: Path, reservations: Reservations, event_id: str
) -> None:
    until = int(time.time()) + 3
    token_file.write_text(token("viewer", until))
    with connect(settings) as channel:
        reader = Reader(SeatStream(channel, event_id))
        eventually("a snapshot", lambda: reader.token or None)
        token_file.write_text(token("viewer"))
        made: SeatList = []
        while time.time() < until + 1.5:
            made += toggle(reservations, event_id, 2)
        eventually("the last change", lambda: len(reader.changes) >= len(made) or None)
        reader.close()
    assert (reader.error, reader.snapshots) == (None, 1)
    assert reader.changes == made


def test_without_tls_a_token_goes_to_this_machine(
    target: str, token_file: Path, event_id: str
) -> None:
    token_file.write_text(token("viewer"))
    with connect(Settings(target=target, token_file=token_file)) as channel:
        assert Reservations(channel).get_seat_map(event_id).seats


def test_settings_that_contradict_each_other() -> None:
    file = Path("a.pem")
    for settings in (Settings(cert_file=file), Settings(cert_file=file, key_file=file)):
        with pytest.raises(ValueError):
            connect(settings)
