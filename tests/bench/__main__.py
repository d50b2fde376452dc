"""`make bench`: the table of DESIGN §10 and build/bench.json. Never a gate."""

import json
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.bench import decision, deny, frames, head, screen, sizes, tap, validator
from tests.bench.measure import Row

OUT = Path("build/bench.json")


def main() -> int:
    """Run every part, one after another, and print as they come."""
    OUT.parent.mkdir(exist_ok=True)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=OUT.parent) as name:
        folder = Path(name)
        sys.stdout.write(f"{'name':36} {'unit':6} {'n':>5} {'median':>10} {'p95':>10} {'p99':>10} {'ratio':>6}\n")
        parts = [
            lambda: decision.rows(folder),
            lambda: decision.card_rows(folder),
            lambda: decision.full_rows(folder),
            lambda: deny.rows(folder / "deny"),
            lambda: [sizes.syncs_per_commit(folder)],
            lambda: [sizes.sync_bytes(_new(folder / f"wire-{wallets}"), wallets) for wallets in (sizes.VOUCHERS, 40)],
            frames.rows,
            lambda: screen.rows(folder),
            lambda: head.rows(folder / "head"),
            lambda: validator.rows(folder / "validator"),
            lambda: validator.head_rows(folder / "validator-head"),
            lambda: validator.all_rows(folder / "validator-all"),
            lambda: tap.rows(folder / "tap"),
        ]
        for part in parts:
            for row in part():
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
