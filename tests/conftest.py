"""Options and fixtures that all tests share: the seed, and how far a long proof goes. DESIGN §11.

`make test` runs a seeded slice of each long proof, the same one every time; `make soak` (`--soak`) runs the full
counts with a fresh seed. The seed is printed at the start; `--seed N` repeats a run.
"""

import functools
import gc
import logging
import os
import random
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SLICE_SEED = 2565
"""The seed of `make test`; a fixed one, so that a red run on one machine is red on the next."""
SEED_MAX = 2**32 - 1
COUNTED = "counted"
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_OPTIONS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
"""A browser that asks nobody for anything by itself."""

PAGE_S_MAX = 20.0
"""What a page is looked at for until it shows what it shall; the machine may have other tests to serve."""

settings.register_profile("slice", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("soak", deadline=None, max_examples=3000, suppress_health_check=[HealthCheck.too_slow])


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kgo")
    group.addoption("--soak", action="store_true", help="run the long proofs with their full counts")
    group.addoption("--seed", type=int, default=None, help="seed of all chance in the tests (printed at the start)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "arm64: what CI runs on an emulated aarch64, too (make test-arm64)")
    soak = bool(config.getoption("--soak"))
    if (given := getattr(config, "workerinput", {}).get("seed")) is not None:
        config.option.seed = given
    if config.getoption("--seed") is None:
        config.option.seed = random.SystemRandom().randint(0, SEED_MAX) if soak else SLICE_SEED
    settings.load_profile("soak" if soak else "slice")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected lives as long as the run: no garbage is looked for while it grows, nor in it afterwards."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist: each process that runs tests has the seed that is shown, or a red run could not be repeated."""
    node.workerinput["seed"] = node.config.option.seed


def pytest_sessionstart(session: pytest.Session) -> None:
    """The seed at once, also with `-q`: a run that does not reach its end is the one to be repeated."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not hasattr(session.config, "workerinput"):
        extent = "full counts" if session.config.getoption("--soak") else "slices"
        reporter.write_line(f"kgo: seed {session.config.option.seed}, {extent}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the long proofs counted, read from the reports: the tests may have run in other processes."""
    reports = (one for kept in terminalreporter.stats.values() for one in kept if isinstance(one, pytest.TestReport))
    counted = {str(value) for one in reports for name, value in one.user_properties if name == COUNTED}
    if counted:
        terminalreporter.section("counted")
        for line in sorted(counted):
            terminalreporter.line(line)


@pytest.fixture(autouse=True)
def own_log() -> "Iterator[None]":
    """A service that a test runs in this process logs to that test's standard error, which ends with the test."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    for handler in [one for one in root.handlers if type(one) is logging.StreamHandler]:
        root.removeHandler(handler)


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Shows a count at the end of the run, even when the test passes."""
    return functools.partial(record_property, COUNTED)


@pytest.fixture(scope="session")
def soak(request: pytest.FixtureRequest) -> bool:
    """Is this the soak run?"""
    return bool(request.config.getoption("--soak"))


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """The run's seed, for tests that start seeded programs."""
    return request.config.option.seed


@pytest.fixture
def rng(request: pytest.FixtureRequest, seed: int) -> random.Random:
    """Chance for one test: depends on the run's seed and the test's name, not on which tests ran before."""
    return random.Random(f"{seed}:{request.node.nodeid}")


@pytest.fixture(scope="session")
def slice_of(soak: bool) -> Callable[[int, int], int]:
    """`slice_of(full, part)`: how many rounds of a long proof to run: `full` in the soak, else `part`."""

    def count(full: int, part: int) -> int:
        if not 0 < part <= full:
            raise ValueError("a slice is at least one round and at most all of them")
        return full if soak else part

    return count


@pytest.fixture
def chromium() -> "Iterator[Browser]":
    """The system's own browser, headless. For one test: while it is driven, its thread can run no other event loop.
    Decision 0161."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PAGE_S_MAX * 1_000)
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium's sandbox does not start for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*CHROMIUM_OPTIONS, *sandbox])
        yield browser
        browser.close()
