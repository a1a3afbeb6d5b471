"""Starts a Holdfast of its own, runs a command against it, and stops it.

    python3 examples/stage.py BINARY DIRECTORY COMMAND...

The stores' data lie in the directory; addresses are free ones of this machine. The
command finds them in its environment, by the names below.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

import credentials

_READY = "Ctrl-C stops all of it"
_NAMES = {
    "gRPC": "HOLDFAST_TEST_TARGET",
    "HTTP": "HOLDFAST_TEST_READY_URL",
    "Postgres": "HOLDFAST_TEST_POSTGRES_URL",
    "Redis": "HOLDFAST_TEST_REDIS_URL",
}


def _is_ours(name: str) -> bool:
    return name.startswith("HOLDFAST_")


def _forget(data: Path) -> None:
    # Postgres' data may lie where its user can get; then this is a link.
    postgres = data / "postgres"
    if postgres.is_symlink():
        shutil.rmtree(postgres.resolve(), ignore_errors=True)
    shutil.rmtree(data, ignore_errors=True)


def _read_until_ready(lines: IO[str], log: IO[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        log.write(line)
        words = line.split()
        if len(words) >= 2 and words[0] in _NAMES:
            found[_NAMES[words[0]]] = words[1]
        if line.startswith(_READY):
            return found
    log.flush()
    sys.exit(f"holdfast dev has ended; {log.name} says why")


def _drain(lines: IO[str], log: IO[str]) -> None:
    for line in lines:
        log.write(line)


def main() -> int:
    binary, directory, command = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    # However this is ended, what it has started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    data = directory / "data"
    _forget(data)
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("serve-*.log"):
        old.unlink()
    address = ["--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"]
    with open(directory / "dev.log", "w", encoding="utf-8") as log:
        dev = subprocess.Popen(
            [binary, "dev", *address, "--data-dir", str(data)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={name: value for name, value in os.environ.items() if not _is_ours(name)},
        )
        assert dev.stdout
        try:
            found = _read_until_ready(dev.stdout, log)
            threading.Thread(target=_drain, args=(dev.stdout, log), daemon=True).start()
            found["HOLDFAST_TEST_BINARY"] = str(Path(binary).absolute())
            found["HOLDFAST_TEST_LOGS"] = str(directory.absolute())
            credentials.make(directory.absolute() / "credentials")
            found["HOLDFAST_TEST_CREDENTIALS"] = str(directory.absolute() / "credentials")
            return subprocess.call(command, env=os.environ | found)
        finally:
            dev.send_signal(signal.SIGTERM)
            dev.wait(timeout=60)
            _forget(data)


if __name__ == "__main__":
    sys.exit(main())
