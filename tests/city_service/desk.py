"""A real `kgo-city` on this desk: commands as processes, the service on a free port with TLS."""

import atexit
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

from offline_ledger.protocol import cbor
from tests.forked import CITY, run_forked

ANSWER_BYTES_MAX = 1 << 20
PROCESS_S_MAX = 60
FOUNDED_S_MAX = 300
"""So long a city is copied: none begins older than a city that somebody founded before lunch."""
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("KGO")}


def run(*words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One `kgo-city` command as a process of its own, which finds the program loaded; see `run_anew`."""
    return run_forked(CITY, words, folder, PROCESS_S_MAX)


def run_anew(*words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One `kgo-city` command as somebody types it."""
    return subprocess.run(
        [sys.executable, "-m", "offline_ledger.city", *words],
        capture_output=True,
        text=True,
        timeout=PROCESS_S_MAX,
        check=False,
        env=ENVIRONMENT | {"PYTHONPATH": str(Path.cwd())},
        cwd=folder,
    )


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    content_type: str

    @property
    def value(self) -> Any:
        """The CBOR body."""
        return cbor.decode(self.body, ANSWER_BYTES_MAX)


@dataclass
class City:
    """A running service and its folder."""

    folder: Path
    process: subprocess.Popen[str]
    ready: dict[str, Any]

    @property
    def url(self) -> str:
        return self.ready["url"]

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.crt"

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command beside the running service, in English."""
        return run(*words, "--settings", str(self.folder / "city.toml"), "--language", "en")

    def connect(self, context: ssl.SSLContext | None = None) -> HTTPSConnection:
        trusted = context or ssl.create_default_context(cafile=str(self.ca_file))
        return HTTPSConnection("127.0.0.1", self.ready["port"], timeout=20, context=trusted)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = self.connect()
        try:
            connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, response.read(ANSWER_BYTES_MAX), response.headers.get("content-type", ""))
        finally:
            connection.close()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(PROCESS_S_MAX)


def found(folder: Path, *more: str) -> None:
    """A city with sample data, keys made for tests only: those of every other one; see `found_anew`."""
    copy_founded(folder, "--port", "0", "--language", "en", *more)


def found_anew(folder: Path, *more: str) -> None:
    """A city with keys that no other one has."""
    _init(folder, "--port", "0", "--language", "en", *more)


def copy_founded(folder: Path, *words: str) -> None:
    """What `kgo-city init --sample` with these words makes, as it made it a moment ago."""
    shutil.copytree(_founded(words, int(time.monotonic()) // FOUNDED_S_MAX), folder)


@lru_cache(maxsize=8)
def _founded(words: tuple[str, ...], _moment: int) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="kgo-founded-test-only-"))
    atexit.register(shutil.rmtree, folder)
    _init(folder / "city", *words)
    return folder / "city"


def _init(folder: Path, *words: str) -> None:
    done = run("init", str(folder), "--sample", *words)
    assert done.returncode == 0, done.stderr


@contextmanager
def serving(folder: Path, *more: str, program: str = "offline_ledger.city"):
    """The service of a founded city, stopped at the end."""
    with (folder.parent / f"{folder.name}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", program, "serve", "--settings", str(folder / "city.toml"), *more],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=ENVIRONMENT,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (folder.parent / f"{folder.name}.log").read_text()
        city = City(folder, process, json.loads(line))
        try:
            yield city
        finally:
            city.stop()
            process.stdout.close()
