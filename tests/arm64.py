"""Which tests run on an emulated aarch64, which cannot, and why. A plugin of pytest's, loaded by `.ci/arm64.sh`.

`-m arm64` is the part that CI runs: only files that have the mark are loaded for it. What is left out is said at the
start of each run; `tests/test_arm64.py` holds the names to the tests. Decision 0222.
"""

import platform
from pathlib import Path
from subprocess import Popen
from typing import Any, TypeAlias

import pytest

from simulators.patience import patient

MARK = "arm64"
Program: TypeAlias = "Popen[Any]"
NO_BROWSER = "Chromium is not in the root: emulated, it shows nothing within a test's time"
NO_STRACE = "strace needs ptrace, which an emulated process cannot be looked at with"
NO_STICK = "a stick is made and mounted by tools (fusefat) that Debian does not build for arm64"
NO_USERS = "an emulated process has threads of its own, and the kernel makes no name space of users for such a one"
NO_HURRY = "presses come slower than the rate that it is about"
NEEDS = {"chromium": NO_BROWSER}
"""Fixtures."""
LEFT_OUT = {
    "tests/card/test_reader.py::test_daemons_of_other_processes_and_users_stand_beside_it": NO_USERS,
    "tests/pos_app/page/test_service.py::test_more_presses_than_fingers_make_wait": NO_HURRY,
    "tests/processes/test_bundle.py::test_it_lands_on_a_stick_also_when_no_program_runs": NO_STICK,
    "tests/pos_app/test_system_files.py::test_chromium_opens_the_page_with_the_launchers_flags": NO_BROWSER,
    "tests/terminal/selftest/test_disk.py::test_a_disk_that_can_only_be_read": NO_USERS,
    "tests/terminal/test_journal_failures.py::test_errors_of_the_real_system_calls": NO_STRACE,
    "tests/terminal/updates/test_release_sticks.py::test_a_stick_brings_the_release_and_a_holders_signature": NO_STICK,
    "tests/terminal/updates/test_release_sticks.py::test_a_stick_that_is_pulled_out_half_way_costs_nothing": NO_STICK,
    "tests/terminal/updates/test_start.py::test_a_start_is_counted_durably_before_the_program_runs": NO_STRACE,
}
"""Tests, whichever their parameters."""


def pytest_configure(config: pytest.Config) -> None:
    if platform.machine() != "aarch64":
        raise pytest.UsageError(f"this is {platform.machine()} and no aarch64: run make test-arm64")
    _wait_longer_for_programs()


def _wait_longer_for_programs() -> None:
    """Tests know the times of the desk, for programs that they start."""
    communicate, wait = Popen.communicate, Popen.wait

    def longer(timeout: float | None) -> float | None:
        return None if timeout is None else patient(timeout)

    def communicate_longer(self: Program, input: Any = None, timeout: float | None = None) -> tuple[Any, Any]:
        return communicate(self, input, longer(timeout))

    def wait_longer(self: Program, timeout: float | None = None) -> int:
        return wait(self, longer(timeout))

    Popen.communicate, Popen.wait = communicate_longer, wait_longer  # pyright: ignore[reportAttributeAccessIssue]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Both tables, also with `-q`: nothing is left out in silence."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not hasattr(session.config, "workerinput"):
        left_out = {**{f"whatever uses {name}": reason for name, reason in NEEDS.items()}, **LEFT_OUT}
        for what, reason in left_out.items():
            reporter.write_line(f"arm64: left out: {what}: {reason}")


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
