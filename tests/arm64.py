"""Which tests run on an emulated aarch64, which cannot, and why. A plugin of pytest's, loaded by `.ci/arm64.sh`.

`-m arm64` is the part that CI runs: only files that have the mark are loaded for it. What is left out is said at the
start of each run; `tests/test_arm64.py` holds the names to the tests. Decision 0222.
"""

import platform
from pathlib import Path

import pytest

MARK = "arm64"
NO_BROWSER = "Chromium is not in the root: emulated, it shows nothing within a test's time"
NO_STRACE = "strace needs ptrace, which an emulated process cannot be looked at with"
NEEDS = {"chromium": NO_BROWSER}
"""Fixtures."""
LEFT_OUT = {
    "tests/pos_app/test_system_files.py::test_chromium_opens_the_page_with_the_launchers_flags": NO_BROWSER,
    "tests/terminal/test_journal_failures.py::test_errors_of_the_real_system_calls": NO_STRACE,
}
"""Tests, whichever their parameters."""


def pytest_configure(config: pytest.Config) -> None:
    if platform.machine() != "aarch64":
        raise pytest.UsageError(f"this is {platform.machine()} and no aarch64: run make test-arm64")


def pytest_report_header() -> list[str]:
    """Both tables: nothing is left out in silence."""
    users = [f"left out: whatever uses {name}: {reason}" for name, reason in NEEDS.items()]
    return [*users, *(f"left out: {name}: {reason}" for name, reason in LEFT_OUT.items())]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Loading all tests takes the emulation longer than running the marked ones."""
    if config.getoption("markexpr") != MARK or not collection_path.name.startswith("test_"):
        return None
    return f"mark.{MARK}" not in collection_path.read_text(encoding="utf-8") or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def is_left_out(item: pytest.Item) -> bool:
        fixtures = item.fixturenames if isinstance(item, pytest.Function) else ()
        return not NEEDS.keys().isdisjoint(fixtures) or item.nodeid.partition("[")[0] in LEFT_OUT

    config.hook.pytest_deselected(items=[item for item in items if is_left_out(item)])
    items[:] = [item for item in items if not is_left_out(item)]
