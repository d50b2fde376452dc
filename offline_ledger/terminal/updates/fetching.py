"""Where releases come from: a folder such as a USB stick's, or the city over HTTPS with its own CA. DESIGN §7.

Both are fetchers of python-tuf for metadata, and give a package's bytes from any offset on. Everything is bounded, and
nothing of it is trusted: python-tuf judges metadata, `tuf_client` the package. Never follows a link or a redirect.
"""

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient.fetcher import FetcherInterface

from offline_ledger.errors import AnswerInvalid, CityUnreachable, ReleasesMissing
from offline_ledger.plain_files import close_read, open_plain, read_chunks
from offline_ledger.terminal.ports import CityRequest, Uplink

METADATA_BYTES_MAX = 524_288
PIECE_BYTES = 1 << 20
"""One exchange: at 10 KiB a second it ends within the uplink's two minutes."""
_OK, _PART, _NOT_FOUND, _RANGE_WRONG = 200, 206, 404, 416


class Source(FetcherInterface):
    """A place with `metadata/` and `targets/` in it."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self.read(url, 0, METADATA_BYTES_MAX + 1)

    @abstractmethod
    def read(self, name: str, offset: int, count: int) -> Iterator[bytes]:
        """At most `count` bytes of a file, from `offset` on. Ends early where the file does. Raises DownloadHTTPError
        (404: it is not there), and a refusal when the place cannot be read."""


class FolderSource(Source):
    """A mounted stick, or any folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, offset: int, count: int) -> Iterator[bytes]:
        """Raises DownloadHTTPError, ReleasesMissing."""
        try:
            descriptor = open_plain(self._folder, name)
        except FileNotFoundError:
            if not self._folder.is_dir():
                raise ReleasesMissing(f"{self._folder}: no such folder") from None
            raise DownloadHTTPError(f"{name}: not there", _NOT_FOUND) from None
        except OSError as error:
            raise ReleasesMissing(f"{self._folder / name}: {error.strerror}") from error
        try:
            yield from read_chunks(descriptor, offset, count)
        except OSError as error:
            raise ReleasesMissing(f"{self._folder / name}: {error.strerror}") from error
        finally:
            close_read(descriptor)


class CitySource(Source):
    """A server's folder, by `HttpsUplink` and so by the city's CA alone; a package comes piece by piece."""

    def __init__(self, uplink: Uplink) -> None:
        self._uplink = uplink

    def _fetch(self, url: str) -> Iterator[bytes]:
        answer = self._uplink.exchange(CityRequest("GET", f"/{url}", None, METADATA_BYTES_MAX))
        yield self._judged(url, answer.status, answer.body, _OK)

    def read(self, name: str, offset: int, count: int) -> Iterator[bytes]:
        """Raises DownloadHTTPError, CityUnreachable, CityCertificateWrong, CaFileLost."""
        self._uplink.close()  # the server may have ended the connection since the metadata came
        while count > 0:
            asked = min(PIECE_BYTES, count)
            headers = (("Range", f"bytes={offset}-{offset + asked - 1}"),)
            try:
                answer = self._uplink.exchange(CityRequest("GET", f"/{name}", None, asked, headers))
            except AnswerInvalid as error:  # more than was asked for
                raise DownloadHTTPError(f"{name}: the server gives no ranges", _OK) from error
            if answer.status == _RANGE_WRONG:
                return
            piece = self._judged(name, answer.status, answer.body, _OK if offset == 0 else _PART)
            if not piece:
                return
            yield piece
            offset, count = offset + len(piece), count - len(piece)

    @staticmethod
    def _judged(name: str, status: int, body: bytes, fitting: int) -> bytes:
        if status >= 500:
            raise CityUnreachable(f"{name}: status {status}")
        if status not in (fitting, _PART):
            raise DownloadHTTPError(f"{name}: status {status}", status)
        return body
