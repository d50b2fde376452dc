"""The parts of the town on the desk: what may be pressed, what a phone sees, when it goes on. DESIGN §11."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from offline_ledger.protocol.qr import QrType, encode
from pos_app.page.qr_svg import qr_svg
from simulators.local_page import HOST, NEAR_MAX, listening, port_near
from simulators.scanner import read_picture
from simulators.town_desk.books import Terminal
from simulators.town_desk.display import NothingShown, drawn, photographed
from simulators.town_desk.words import ACTIONS, KGO_MINOR_MAX, LINE_CHARACTERS_MAX, Asked, read_line
from tests.simulators.town_run import TownRun

COMMAND_S_MAX = 30
SVG = qr_svg("KGO1Q:A", "โค้ด")


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("code Mali 20", Asked("code", ("Mali", "20"), 2_000)),
        ("code New 0.01", Asked("code", ("New", "0.01"), 1)),
        ("code Nok 100000", Asked("code", ("Nok", "100000"), KGO_MINOR_MAX)),
        ("code Mali ๒๐", Asked("code", ("Mali", "๒๐"), 2_000)),
        ("  answer   Somchai ", Asked("answer", ("Somchai",))),
        ("network shop off", Asked("network", ("shop", "off"))),
        ("printer hang on", Asked("printer", ("hang", "on"))),
        ("drawer shut", Asked("drawer", ("shut",))),
        ("till kill", Asked("till", ("kill",))),
        ("audit", Asked("audit")),
    ],
)
def test_lines_that_are_actions(line: str, asked: Asked) -> None:
    assert read_line(line) == asked


@pytest.mark.parametrize(
    "line",
    [
        "", " ", "fly", "audit now", "till", "till quit", "network shop", "network city off", "network shop OFF",
        "code Mali", "code Mali 0", "code Mali -1", "code Mali 1.001", "code Mali x", "code Mali 100000.01",
        "code Mali 1234567890", "code Nobody 5", "printer fire on", "audit\n", "a" * LINE_CHARACTERS_MAX + "b",
    ],
)  # fmt: skip
def test_lines_that_are_none(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_line(line)


def test_every_action_is_a_word_of_its_own() -> None:
    assert all(action.isalpha() for action in ACTIONS)


# --- a phone before the display


@pytest.mark.parametrize("size", [1, 120, 380])
def test_a_phone_reads_what_the_display_draws(size: int) -> None:
    text = encode(QrType.RECEIPT, bytes(at % 256 for at in range(size)))
    html = f"<main><svg class='x'></svg>{qr_svg(text, 'ขอรับ KGO')}</main>"
    assert read_picture(drawn(html)) == text


@pytest.mark.parametrize(
    "html",
    [
        "",
        "<p>สวัสดี</p>",
        SVG.replace('class="qr"', 'class="icon"'),
        SVG.replace('viewBox="0 0 29 29"', 'viewBox="0 0 29 30"'),
        SVG.replace('viewBox="0 0 29 29"', 'viewBox="0 0 999 999"'),
        SVG.replace('viewBox="0 0 29 29"', 'viewBox="0 0 0 0"'),
        SVG.replace("v1h-", "v9h-"),
        SVG[: SVG.rindex("z")] + SVG[SVG.rindex("z") + 1 :],
    ],
)
def test_what_is_no_code_is_not_seen(html: str) -> None:
    assert 'viewBox="0 0 29 29"' in SVG
    with pytest.raises(NothingShown):
        drawn(html)


def test_a_dark_display_is_not_seen() -> None:
    with closing(listening(0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(NothingShown):
        photographed(port)


# --- books


@pytest.mark.parametrize(
    ("held", "pending", "agrees"),
    [
        (Terminal(), 0, True),
        (Terminal(vouchers=2, acked=2, posted=2, kgo=500, credited_kgo=500, rewarded_kgo=100), 0, True),
        (Terminal(vouchers=2, acked=1, posted=2, kgo=500, credited_kgo=500), 1, False),
        (Terminal(vouchers=2, acked=2, posted=1, kgo=500, credited_kgo=500), 0, False),
        (Terminal(vouchers=2, acked=2, posted=2, kgo=500, credited_kgo=499), 0, False),
    ],
)
def test_books_agree_when_the_city_has_all_and_gave_as_much(held: Terminal, pending: int, agrees: bool) -> None:
    assert (held.pending, held.agrees) == (pending, agrees)


# --- ports


def test_a_port_that_is_taken_gives_the_next_one() -> None:
    with closing(listening(0)) as first:
        port = first.getsockname()[1]
        assert port < port_near(port) < port + NEAR_MAX
    assert port_near(port) == port


def test_a_port_that_was_named_and_is_taken_starts_nothing(tmp_path: Path) -> None:
    with closing(listening(0)) as taken:
        port = taken.getsockname()[1]
        words = (sys.executable, "-m", "simulators", "town", "--port", str(port), "--folder", str(tmp_path / "t"))
        done = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_S_MAX, check=False)
    assert done.returncode == 2 and str(port) in done.stderr and HOST not in done.stdout
    assert not (tmp_path / "t").exists()


# --- when the demo goes on


def test_without_a_terminal_the_demo_ends_and_nothing_is_started(tmp_path: Path) -> None:
    words = (sys.executable, "-m", "simulators", "town", "--if-terminal", "--folder", str(tmp_path / "t"))
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_S_MAX, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "t").exists()


@pytest.fixture
def once(tmp_path: Path) -> Iterator[TownRun]:
    with closing(TownRun(tmp_path / "t", environment={"ONCE": "1"})) as run:
        yield run


def test_once_ends_it_on_a_terminal_too(once: TownRun, tmp_path: Path) -> None:
    assert once.wait_end() == 0
    assert once.said == b"" and not (tmp_path / "t").exists()


def test_make_demo_tells_the_story_and_then_goes_on_where_somebody_watches() -> None:
    root = Path(__file__).parents[2]
    recipe = (root / "Makefile").read_text(encoding="utf-8").partition("\ndemo: ")[2].partition("\n\n")[0]
    story, goes_on = recipe.splitlines()[1:]
    assert story.endswith("-m simulators demo $(ARGS)") and goes_on.endswith("-m simulators town --if-terminal")
