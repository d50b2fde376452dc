"""A GTFS feed, zip or folder, as bounded tables: every mistake with file and line. DESIGN §2, §3 "all errors at once".

Only the files and columns that a validator needs are read. What a zip claims about its sizes is never believed: reading
stops at the cap. Never judges what the rows mean.
"""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from offline_ledger.csv_lines import Record, records
from offline_ledger.errors import FeedTooLarge, FeedWrong, FileUnusable
from offline_ledger.texts import Texts

FILE_BYTES_MAX = 16 << 20
"""A quarter of a million stop times; Khon Kaen's buses need less than one of sixteen MiB."""
ZIP_BYTES_MAX = 32 << 20
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
PROBLEMS_MAX = 200
REQUIRED = ("agency.txt", "routes.txt", "stops.txt", "trips.txt", "stop_times.txt")
OPTIONAL = ("feed_info.txt", "frequencies.txt", "translations.txt")
COLUMNS: dict[str, tuple[str, ...]] = {
    "agency.txt": ("agency_name",),
    "routes.txt": ("route_id",),
    "stops.txt": ("stop_id", "stop_name", "stop_lat", "stop_lon"),
    "trips.txt": ("route_id", "trip_id"),
    "stop_times.txt": ("trip_id", "stop_id", "stop_sequence"),
    "feed_info.txt": (),
    "frequencies.txt": ("trip_id", "start_time", "end_time", "headway_secs"),
    "translations.txt": ("table_name", "field_name", "language", "translation"),
}
"""Without these a file says nothing to us."""


class Line(NamedTuple):
    """One row: where it stands, and its cells by column (an absent one is empty)."""

    number: int
    cells: dict[str, str]

    def get(self, column: str) -> str:
        """The cell, without spaces around it."""
        return self.cells.get(column, "")


@dataclass
class Problems:
    """The mistakes of one feed, in the order found; `stop_if_any` refuses with all of them."""

    texts: Texts
    told: list[str] = field(default_factory=list[str])

    def add(self, file: str, line: int, key: str, **values: object) -> None:
        """One more: `city.feed.KEY` in the operator's language."""
        problem = self.texts.get(f"city.feed.{key}", **values)
        self.told.append(self.texts.get("city.feed.line", file=file, line=line, problem=problem))

    def stop_if_any(self) -> None:
        """Raises FeedWrong."""
        if self.told:
            rest = len(self.told) - PROBLEMS_MAX
            more = [self.texts.get("city.more_problems", count=rest)] if rest > 0 else []
            raise FeedWrong((*self.told[:PROBLEMS_MAX], *more))


def read_feed(path: Path, problems: Problems) -> dict[str, list[Line]]:
    """The rows of each file that is there. Raises FileUnusable, FeedTooLarge, FeedWrong: a file or column is missing,
    or a line is no CSV."""
    files = _folder(path) if path.is_dir() else _zip(path)
    for name in REQUIRED:
        if name not in files:
            problems.add(name, 1, "no_file")
    tables = {name: _table(name, data, problems) for name, data in files.items()}
    problems.stop_if_any()
    return tables


def _folder(path: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name in (*REQUIRED, *OPTIONAL):
        try:
            with (path / name).open("rb") as stream:
                found[name] = _bounded(stream.read(FILE_BYTES_MAX + 1), name)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise FileUnusable(f"{path / name}: {error.strerror}") from error
    return found


def _zip(path: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        if path.stat().st_size > ZIP_BYTES_MAX:
            raise FeedTooLarge(f"{path}: > {ZIP_BYTES_MAX}")
        with zipfile.ZipFile(path) as packed:
            inside = set(packed.namelist())
            for name in (*REQUIRED, *OPTIONAL):
                if name in inside:
                    if packed.getinfo(name).compress_type not in _PACKED:
                        raise FileUnusable(f"{path}: {name} is not packed by deflate")
                    with packed.open(name) as stream:
                        found[name] = _bounded(stream.read(FILE_BYTES_MAX + 1), name)
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise FileUnusable(f"{path}: no zip, or a damaged one") from error  # or one with a password
    return found


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > FILE_BYTES_MAX:
        raise FeedTooLarge(f"{name}: > {FILE_BYTES_MAX}")
    return data


def _table(name: str, data: bytes, problems: Problems) -> list[Line]:
    found = iter(records(data))
    heading = next(found, None)
    if heading is None or heading.wrong:
        problems.add(name, heading.line if heading else 1, "heading")
        return []
    columns = [cell.strip().lower() for cell in heading.cells]
    missing = [column for column in COLUMNS[name] if column not in columns]
    for column in missing:
        problems.add(name, heading.line, "no_column", column=column)
    twice = sorted({column for column in columns if column and columns.count(column) > 1})
    if twice:
        problems.add(name, heading.line, "column_twice", columns=", ".join(twice))
    return [] if missing or twice else list(_lines(name, columns, found, problems))


def _lines(name: str, columns: list[str], found: Iterator[Record], problems: Problems) -> Iterator[Line]:
    for record in found:
        if record.wrong:
            problems.add(name, record.line, record.wrong)
        elif len(record.cells) > len(columns):
            problems.add(name, record.line, "cells", count=len(record.cells), columns=len(columns))
        else:
            cells = (cell.strip() for cell in record.cells)
            yield Line(record.line, dict(zip(columns, cells, strict=False)))
