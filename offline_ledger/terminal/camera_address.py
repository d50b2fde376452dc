"""The address of a camera's raw stream as a settings file writes it. Pure: opens nothing. DESIGN §11."""

import shlex
from typing import NamedTuple


class SourceAddress(NamedTuple):
    """A checked address; `kind` is one of tcp, unix, fifo, exec."""

    kind: str
    host: str = ""
    port: int = 0
    path: str = ""
    command: tuple[str, ...] = ()


def parse_address(address: str) -> SourceAddress:
    """The address in a settings file; raises ValueError with what is wrong."""
    kind, colon, rest = address.partition(":")
    if kind == "exec" and rest.strip():
        return SourceAddress("exec", command=tuple(shlex.split(rest)))
    if not colon or not rest.startswith("//"):
        raise ValueError(
            f"camera address {address!r} is none of tcp://HOST:PORT unix:///PATH fifo:///PATH exec:COMMAND"
        )
    rest = rest[2:]
    if kind == "tcp":
        host, _, port = rest.rpartition(":")
        if host and port.isascii() and port.isdigit() and 0 < int(port) < 65_536:
            return SourceAddress("tcp", host=host, port=int(port))
    elif kind in ("unix", "fifo") and rest.startswith("/"):
        return SourceAddress(kind, path=rest)
    raise ValueError(f"camera address {address!r} is incomplete")
