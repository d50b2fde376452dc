"""Ask the other implementation, in its own environment and process."""

import json
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-crosscheck" / "bin" / "python"
OTHER_SIDE = Path(__file__).with_name("other_side.py")
SCHEMA = ROOT / "offline_ledger" / "protocol" / "wire.cddl"


def ask(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One process for all jobs; results in the same order."""
    done = subprocess.run(
        [PYTHON, OTHER_SIDE], input=json.dumps(jobs), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert len(results) == len(jobs)
    return results


def cddl_job(rule: str, data: bytes) -> dict[str, Any]:
    """Check `data` against one rule of `wire.cddl`."""
    return {"do": "cddl", "schema": str(SCHEMA), "rule": rule, "bytes": data.hex()}
