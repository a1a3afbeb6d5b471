"""Servers that a test may stop, and a wire that it may cut."""

import atexit
import os
import re
import socket
import struct
import subprocess
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def eventually(what: str, ask: Callable[[], T | None], patience_s: float = 30) -> T:
    """Asks again and again until there is an answer."""
    deadline = time.monotonic() + patience_s
    while (answer := ask()) is None:
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.02)
    return answer


def credentials() -> Path:
    """Where `examples/credentials.py` has written them."""
    return Path(os.environ["HOLDFAST_TEST_CREDENTIALS"])


def secure() -> dict[str, str]:
    """Settings of a server with TLS that takes tokens and certificates."""
    files = credentials()
    return {
        "HOLDFAST_TLS_CERT_FILE": str(files / "holdfast.pem"),
        "HOLDFAST_TLS_KEY_FILE": str(files / "holdfast.key"),
        "HOLDFAST_TLS_CLIENT_CA_FILE": str(files / "ca.pem"),
        "HOLDFAST_CERTIFICATE_ROLES_FILE": str(files / "roles.toml"),
        "HOLDFAST_JWT_KEYS": str(files / "tokens.pem"),
        "HOLDFAST_JWT_AUDIENCE": "holdfast",
        "HOLDFAST_JWT_LEEWAY_SECONDS": "0",
    }


class Server:
    """`holdfast serve` on the stores of the stage, with further settings."""

    def __init__(self, **further: str) -> None:
        self.log = Path(os.environ["HOLDFAST_TEST_LOGS"]) / f"serve-{uuid.uuid4()}.log"
        address = ["--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"]
        settings = {
            "HOLDFAST_POSTGRES_URL": os.environ["HOLDFAST_TEST_POSTGRES_URL"],
            "HOLDFAST_REDIS_URL": os.environ["HOLDFAST_TEST_REDIS_URL"],
            "HOLDFAST_LOG_FORMAT": "json",
            "PATH": os.environ["PATH"],
            **further,
        }
        with open(self.log, "w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [os.environ["HOLDFAST_TEST_BINARY"], "serve", *address],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=settings,
            )
        # Nobody is left behind where a test fails.
        atexit.register(self._process.kill)
        self.grpc = eventually("its gRPC port", lambda: self._told("grpc"))
        self.http = eventually("its HTTP port", lambda: self._told("http"))
        eventually("readiness", lambda: '"message":"ready"' in self.log.read_text() or None)

    def _told(self, name: str) -> str | None:
        assert self._process.poll() is None, f"it has ended; see {self.log}"
        found = re.search(f'"{name}":"([0-9.:]+)"', self.log.read_text())
        return found[1] if found else None

    def metric(self, name: str) -> float:
        """The sum of a metric, over its labels."""
        with urllib.request.urlopen(f"http://{self.http}/metrics") as answer:
            text: str = answer.read().decode()
        lines = re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", text, re.MULTILINE)
        return sum(map(float, lines))

    def served(self, method: str) -> float:
        """Whether calls of a method were served here: more than 0."""
        with urllib.request.urlopen(f"http://{self.http}/metrics") as answer:
            text: str = answer.read().decode()
        lines = re.findall(rf'^\w+{{[^}}]*[="/]{method}"[^}}]*}} ([0-9.e+]+)$', text, re.MULTILINE)
        return sum(map(float, lines))

    def stop(self) -> None:
        """Lets it drain, and waits for its end."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=60)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(timeout=60)


class Wire:
    """Passes TCP on to an address, until it is cut; not the first `refused` connections."""

    def __init__(self, target: str, refused: int = 0) -> None:
        self.host, port = target.rsplit(":", 1)
        self._port = int(port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = "127.0.0.1:{}".format(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self.accepted = 0
        self._refused = refused
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._refused > 0:
                    self._refused -= 1
                    near.close()
                    continue
                far = socket.create_connection((self.host, self._port))
                with self._lock:
                    self._open += [near, far]
                    self.accepted += 1
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Ends all connections without a word of goodbye; new ones are let through."""
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    # A reset, not an end.
                    linger = struct.pack("ii", 1, 0)
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    end.shutdown(socket.SHUT_RDWR)
                    end.close()
            self._open.clear()

    def close(self) -> None:
        self._listener.close()
        self.cut()
