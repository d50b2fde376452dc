"""`make bench`: the table of DESIGN §10 and build/bench.json. Never a gate."""

import json
import platform
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from tests.bench import (
    counter,
    decision,
    deny,
    flash,
    frames,
    goods,
    head,
    page,
    receipt,
    screen,
    sizes,
    tap,
    update,
    validator,
)
from tests.bench.measure import Row

OUT = Path("build/bench.json")


def _decision(folder: Path) -> Iterator[Row]:
    yield from decision.rows(folder)
    yield from decision.card_rows(folder)
    yield from decision.full_rows(folder)


def _sizes(folder: Path) -> Iterator[Row]:
    yield sizes.syncs_per_commit(folder)
    for wallets in (sizes.VOUCHERS, 40):
        yield sizes.sync_bytes(_new(folder / f"wire-{wallets}"), wallets)


def _validator(folder: Path) -> Iterator[Row]:
    yield from validator.rows(folder / "scanner")
    yield from validator.head_rows(folder / "head")
    yield from validator.all_rows(folder / "all")


PARTS: Mapping[str, Callable[[Path], Iterable[Row]]] = {
    "decision": _decision,
    "goods": lambda folder: goods.rows(folder / "goods"),
    "deny": lambda folder: deny.rows(folder / "deny"),
    "sizes": _sizes,
    "frames": lambda _folder: frames.rows(),
    "screen": screen.rows,
    "receipt": lambda folder: receipt.rows(folder / "receipt"),
    "head": lambda folder: head.rows(folder / "head"),
    "flash": lambda folder: flash.rows(folder / "flash"),
    "validator": _validator,
    "tap": lambda folder: tap.rows(folder / "tap"),
    "page": page.rows,
    "counter": lambda folder: counter.rows(folder / "counter"),
    "update": lambda folder: update.rows(folder / "update"),
}


def main() -> int:
    """Run the parts that are named, or every one, one after another, and print as they come."""
    parser = ArgumentParser(prog="tests.bench", description="benchmarks, as ratios to a floor of the same run")
    parser.add_argument("part", nargs="*", help=f"one of {', '.join(PARTS)}; without any, all of them")
    named: list[str] = parser.parse_args().part
    if unknown := set(named).difference(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    OUT.parent.mkdir(exist_ok=True)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=OUT.parent) as name:
        sys.stdout.write(f"{'name':36} {'unit':6} {'n':>5} {'median':>10} {'p95':>10} {'p99':>10} {'ratio':>6}\n")
        for part in named or PARTS:
            folder = Path(name) / part
            folder.mkdir()
            for row in PARTS[part](folder):
                rows.append(row)
                sys.stdout.write(_line(row))
                sys.stdout.flush()
    noise = next((row.ratio for row in rows if row.name == "noise"), None)
    said = {"machine": platform.platform(), "python": platform.python_version(), "noise": noise}
    OUT.write_text(json.dumps(said | {"rows": [asdict(row) for row in rows]}, indent=1))
    return 0


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _line(row: Row) -> str:
    ratio = f"{row.ratio:.3f}" if row.ratio is not None else ""
    numbers = f"{row.median:>10.2f} {row.p95:>10.2f} {row.p99:>10.2f}"
    return f"{row.name:36} {row.unit:6} {row.n:>5} {numbers} {ratio:>6}\n"


if __name__ == "__main__":
    sys.exit(main())
