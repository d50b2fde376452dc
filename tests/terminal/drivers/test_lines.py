"""Bytes to texts: suffixes, chunks, noise, pauses, bounds."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import Refusal, ScanIncomplete, ScanTooLong
from offline_ledger.terminal.drivers.lines import LINE_BYTES_MAX, LineSplitter, text_of
from tests.qr_texts import sample_text

PAUSE_S = 0.5


def splitter(*, pause_ends_line: bool = False) -> LineSplitter:
    return LineSplitter(pause_s=PAUSE_S, pause_ends_line=pause_ends_line)


def told(items: Iterable[str | Refusal]) -> list[str | type[Refusal]]:
    return [item if isinstance(item, str) else type(item) for item in items]


@pytest.mark.parametrize(
    ("sent", "texts"),
    [
        (b"A\r", ["A"]),
        (b"A\n", ["A"]),
        (b"A\r\n", ["A"]),
        (b"A\r\rB\n\nC\r\n", ["A", "B", "C"]),
        (b"A\n\rB\r", ["A", "B"]),
        (b"\r\n\r\n", []),
        (b" A B \r", [" A B "]),  # space is a Base45 character
        (b"\0\0A\0B\0\r", ["AB"]),
        (b"\xff\xfeA\r", ["\ufffd\ufffdA"]),
        (b"A\x80\r", ["A\ufffd"]),
        (b"\x02A\x03\r", ["\ufffdA\ufffd"]),
        (b"A\x7f\t\r", ["A\ufffd\ufffd"]),
    ],
)
def test_one_push(sent: bytes, texts: list[str]) -> None:
    assert told(splitter().push(sent, 0.0)) == texts


@given(
    st.lists(st.tuples(st.text("AB $%:", min_size=1, max_size=40), st.sampled_from([b"\r", b"\n", b"\r\n"]))),
    st.randoms(use_true_random=False),
)
def test_chunks_do_not_matter(lines: list[tuple[str, bytes]], rng: random.Random) -> None:
    sent = b"".join(text.encode() + suffix for text, suffix in lines)
    cut, items = splitter(), []
    while sent:
        size = rng.randint(1, 7)
        items += told(cut.push(sent[:size], 0.0))
        sent = sent[size:]
    assert items == [text for text, _ in lines]


@given(st.lists(st.tuples(st.binary(max_size=3000), st.floats(0, 2))))
def test_any_bytes_are_bounded(pushes: list[tuple[bytes, float]]) -> None:
    cut, now_s = splitter(), 0.0
    for sent, wait_s in pushes:
        now_s += wait_s
        for item in cut.push(sent, now_s):
            assert (
                0 < len(item) <= LINE_BYTES_MAX
                if isinstance(item, str)
                else type(item) in (ScanIncomplete, ScanTooLong)
            )
    assert told(cut.tick(now_s + PAUSE_S)) in ([], [ScanIncomplete])
    assert told(cut.push(b"KGO1P:X\r", now_s + 1)) == ["KGO1P:X"]


@pytest.mark.parametrize(
    ("length", "items"), [(LINE_BYTES_MAX, ["A" * LINE_BYTES_MAX, "B"]), (LINE_BYTES_MAX + 1, [ScanTooLong, "B"])]
)
@pytest.mark.parametrize("chunk_bytes", [1, 7, 5000])
def test_longest_line(length: int, items: list[str | type[Refusal]], chunk_bytes: int) -> None:
    cut, sent, seen = splitter(), b"A" * length + b"\rB\r", []
    for start in range(0, len(sent), chunk_bytes):
        seen += told(cut.push(sent[start : start + chunk_bytes], 0.0))
    assert seen == items


def test_an_endless_line_is_told_once_and_ends_by_a_pause() -> None:
    cut = splitter()
    seen = [item for n in range(100) for item in told(cut.push(b"x" * 500, n * 0.001))]
    assert seen == [ScanTooLong]
    assert told(cut.push(b"KGO1P:X\r", 1.0)) == ["KGO1P:X"]


@pytest.mark.parametrize(("waited_s", "items"), [(0.49, ["NOISEKGO1P:X"]), (0.5, [ScanIncomplete, "KGO1P:X"])])
def test_old_noise_does_not_spoil_the_next_scan(waited_s: float, items: list[str | type[Refusal]]) -> None:
    cut = splitter()
    assert told(cut.push(b"NOISE", 0.0)) == []
    assert told(cut.push(b"KGO1P:X\r", waited_s)) == items


def test_pause_as_suffix() -> None:
    cut = splitter(pause_ends_line=True)
    assert told(cut.push(b"KGO1P:", 0.0)) == []
    assert told(cut.push(b"X", 0.4)) == []
    assert cut.pause_left_s(0.6) == pytest.approx(0.3)
    assert told(cut.tick(0.89)) == []
    assert not cut.is_idle
    assert told(cut.tick(0.91)) == ["KGO1P:X"]
    assert cut.is_idle
    assert told(cut.tick(9.0)) == []


def test_drop_tells_only_when_something_was_held() -> None:
    cut = splitter()
    assert told(cut.drop()) == []
    list(cut.push(b"KGO1P:HALF", 0.0))
    assert told(cut.drop()) == [ScanIncomplete]
    assert told(cut.push(b"\r", 0.0)) == []


def test_our_texts_pass_unchanged(rng: random.Random) -> None:
    text = sample_text(rng)
    assert text_of(text.encode()) == text
