"""HTTPS to the city, with nothing trusted but its own private CA. The edge of sync: sockets live here only. DESIGN §7.

Every wait and every answer is bounded. `ssl` and `http` are imported by `load`, or at the first exchange, so that a
validator is ready before its network is. Certificates are not judged by time: a terminal may learn the time only
through this very connection, and everything that matters is signed on its own. Never follows a redirect, never retries.
"""

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from offline_ledger.errors import AnswerInvalid, CaFileLost, CityCertificateWrong, CityUnreachable
from offline_ledger.terminal.ports import CityAnswer, CityRequest, Clock

if TYPE_CHECKING:
    import ssl
    from http.client import HTTPSConnection

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, openssl/x509_vfy.h
_SHUT_RDWR = 2  # both directions, as in <sys/socket.h>; importing socket would cost start-up time
_CHUNK_BYTES = 65_536
CONTENT_TYPE = "application/cbor"


class HttpsUplink:
    """One keep-alive connection to one city address. Not thread-safe; only `interrupt` may come from another thread."""

    def __init__(
        self, url: str, ca_file: Path, clock: Clock, *, wait_ms_max: int = 15_000, exchange_ms_max: int = 120_000
    ) -> None:
        """`wait_ms_max` bounds one silence, `exchange_ms_max` a whole exchange. ValueError: not an https address."""
        self._host, self._port, self._prefix = parse_url(url)
        self._ca_file = ca_file
        self._clock = clock
        self._wait_ms_max = wait_ms_max
        self._exchange_ms_max = exchange_ms_max
        self._context: ssl.SSLContext | None = None
        self._connection: HTTPSConnection | None = None

    def load(self) -> None:
        """Brings TLS and HTTP now; else the first exchange would. ImportError: this machine's Python lacks them."""
        for name in ("ssl", "http.client"):
            import_module(name)

    def exchange(self, request: CityRequest) -> CityAnswer:
        """Raises CityUnreachable, CityCertificateWrong, CaFileLost, or AnswerInvalid for an answer over its cap."""
        import ssl
        from http.client import HTTPException

        where = f"{self._host}:{self._port}"
        try:
            return self._exchange(request)
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise CityCertificateWrong(f"{where}: {error.verify_message}") from error
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, TimeoutError) as error:
            self.close()
            raise CityUnreachable(f"{where}: {type(error).__name__}") from error
        except ssl.SSLError as error:
            self.close()
            raise CityCertificateWrong(f"{where}: {error.reason}") from error
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            raise CityUnreachable(f"{where}: {type(error).__name__} {error}"[:200]) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Lets go of the connection; the next exchange makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def interrupt(self) -> None:
        """From another thread: the exchange under way ends soon as unreachable. It closes its own connection."""
        connection = self._connection
        if connection is not None:
            with suppress(OSError, AttributeError):  # not connected yet, or not any more
                connection.sock.shutdown(_SHUT_RDWR)

    def _exchange(self, request: CityRequest) -> CityAnswer:
        connection = self._connect()
        ends_ms = self._clock.mono_ms() + self._exchange_ms_max
        headers = {"Accept": CONTENT_TYPE, "User-Agent": "kgo-terminal", **dict(request.headers)}
        if request.body is not None:
            headers["Content-Type"] = CONTENT_TYPE
        connection.request(request.method, self._prefix + request.path, request.body, headers)
        response = connection.getresponse()
        length = response.length
        if length is not None and length > request.answer_bytes_max:
            raise AnswerInvalid(f"{length} bytes, at most {request.answer_bytes_max}")
        body = bytearray()
        while chunk := response.read1(_CHUNK_BYTES):
            body += chunk
            if len(body) > request.answer_bytes_max:
                raise AnswerInvalid(f"more than {request.answer_bytes_max} bytes")
            if self._clock.mono_ms() > ends_ms:
                raise TimeoutError
        response.close()  # `read1` leaves a finished response open, and the connection would refuse the next request
        if length is not None and len(body) != length:
            raise ConnectionError(f"{len(body)} of {length} bytes")
        if response.will_close:
            self.close()
        return CityAnswer(response.status, bytes(body))

    def _connect(self) -> "HTTPSConnection":
        from http.client import HTTPSConnection

        if self._connection is None:
            if self._context is None:
                self._context = _pinned_context(self._ca_file)
            self._connection = HTTPSConnection(
                self._host, self._port, timeout=self._wait_ms_max // 1000 or 1, context=self._context
            )
        return self._connection


def _pinned_context(ca_file: Path) -> "ssl.SSLContext":
    """Trusts one file and nothing that the system trusts. Raises CityCertificateWrong, CaFileLost."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    try:
        context.load_verify_locations(cafile=str(ca_file))
    except ssl.SSLError as error:
        raise CityCertificateWrong(f"{ca_file}: {error}") from error
    except OSError as error:
        raise CaFileLost(f"{ca_file}: {error.strerror}") from error
    return context


def parse_url(url: str) -> tuple[str, int, str]:
    """Host, port and path prefix of `https://host[:port][/prefix]`. ValueError for anything else."""
    scheme, separator, rest = url.partition("://")
    if scheme != "https" or not separator:
        raise ValueError(f"{url!r} is not an https:// address")
    place, slash, path = rest.partition("/")
    if not place or "@" in place or "?" in path or "#" in path:
        raise ValueError(f"{url!r} is not an https:// address")
    host, port = place, 443
    if place.startswith("["):
        host, _, after = place[1:].partition("]")
        port_text = after.removeprefix(":")
    else:
        host, _, port_text = place.partition(":")
    if port_text:
        if not (port_text.isascii() and port_text.isdigit() and 0 < int(port_text) < 65_536):
            raise ValueError(f"{url!r}: port {port_text!r}")
        port = int(port_text)
    if not host:
        raise ValueError(f"{url!r} names no host")
    return host, port, (slash + path).rstrip("/")
