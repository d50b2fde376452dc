"""Bytes to frames and back: every length, every damage, garbage before and between. Both interpreters agree."""

import binascii
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.link import messages
from firmware.link.frames import FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX, Decoder, encode
from firmware.link.window import RETRY_MS, SLOTS, Window, elapsed_ms, following
from simulators.head.interpreter import ROOT, interpreter_path

BYTE = st.integers(0, 255)
PAYLOAD = st.binary(max_size=PAYLOAD_BYTES_MAX) | st.lists(
    st.sampled_from([0, 1, 255]), max_size=PAYLOAD_BYTES_MAX
).map(bytes)
GARBAGE = st.binary(max_size=600)


@pytest.mark.parametrize("size", range(PAYLOAD_BYTES_MAX + 1))
def test_every_length_travels(size: int) -> None:
    for payload in (bytes(size), b"\xff" * size, bytes(n % 256 for n in range(size))):
        frame = encode(7, 3, payload)
        assert len(frame) == size + 10 <= FRAME_BYTES_MAX
        assert frame[0] == frame[-1] == 0 and 0 not in frame[1:-1]
        assert Decoder().push(bytes(frame)) == [(7, 3, payload)]


def test_one_byte_more_is_no_frame() -> None:
    with pytest.raises(ValueError, match="too long"):
        encode(7, 3, bytes(PAYLOAD_BYTES_MAX + 1))


@given(BYTE, BYTE, PAYLOAD)
def test_a_frame_is_cobs_of_head_payload_and_crc(kind: int, sequence: int, payload: bytes) -> None:
    """Undone by another way: the textbook's COBS, byte for byte."""
    body = bytearray()
    coded = encode(kind, sequence, payload)[1:-1]
    at = 0
    while at < len(coded):
        step = coded[at]
        body += coded[at + 1 : at + step]
        at += step
        if at < len(coded):
            body.append(0)
    assert body[:3] == bytes((kind, sequence, len(payload))) and body[3:-4] == payload
    assert body[-4:] == binascii.crc32(body[:-4]).to_bytes(4, "little")


@given(st.lists(st.tuples(BYTE, BYTE, PAYLOAD), max_size=6), st.lists(st.integers(1, 50), min_size=1))
def test_frames_in_pieces(frames: list[tuple[int, int, bytes]], sizes: list[int]) -> None:
    wire = b"".join(bytes(encode(*frame)) for frame in frames)
    decoder, found, at, turn = Decoder(), [], 0, 0
    while at < len(wire):
        size = sizes[turn % len(sizes)]
        found += decoder.push(wire[at : at + size])
        at, turn = at + size, turn + 1
    assert found == frames and decoder.errors == 0


@given(GARBAGE, BYTE, BYTE, PAYLOAD, GARBAGE)
def test_garbage_costs_no_whole_frame(before: bytes, kind: int, sequence: int, payload: bytes, after: bytes) -> None:
    decoder = Decoder()
    frame = (kind, sequence, payload)
    found = decoder.push(before + bytes(encode(*frame)) + after + bytes(encode(*frame)))
    assert found == [frame, frame]


@given(st.data(), BYTE, BYTE, PAYLOAD)
def test_a_damaged_frame_is_lost_alone(data: st.DataObject, kind: int, sequence: int, payload: bytes) -> None:
    frame, good = (kind, sequence, payload), (9, 9, b"good")
    spoilt = bytearray(encode(*frame))
    at = data.draw(st.integers(0, len(spoilt) - 1))
    spoilt[at] ^= data.draw(st.integers(1, 255))
    found = Decoder().push(bytes(spoilt) + bytes(encode(*good)))
    assert found[-1] == good
    assert found[:-1] in ([], [frame])  # an edge may be hurt where two stand side by side


@given(st.data(), BYTE, BYTE, PAYLOAD)
def test_a_lost_byte_and_a_doubled_one(data: st.DataObject, kind: int, sequence: int, payload: bytes) -> None:
    frame, good = (kind, sequence, payload), (9, 9, b"good")
    wire = bytes(encode(*frame))
    at = data.draw(st.integers(1, len(wire) - 2))
    for spoilt in (wire[:at] + wire[at + 1 :], wire[:at] + wire[at : at + 1] + wire[at:]):
        found = Decoder().push(spoilt + bytes(encode(*good)))
        assert found[-1] == good and found[:-1] in ([], [frame])


def test_an_endless_run_without_an_edge_is_counted_once_and_not_held() -> None:
    decoder = Decoder()
    for _ in range(1_000):
        assert decoder.push(b"\x55" * 1_000) == []
    assert decoder.push(bytes(encode(1, 2, b"x"))) == [(1, 2, b"x")]
    assert decoder.errors == 1 and decoder.frames == 1


# --- the window


def test_the_window_repeats_until_it_is_answered() -> None:
    window = Window()
    frames = [window.put(messages.SCAN, bytes([n]), 100) for n in range(SLOTS)]
    assert window.room() == 0
    with pytest.raises(ValueError, match="full"):
        window.put(messages.SCAN, b"", 100)
    assert window.repeats(100 + RETRY_MS - 1) == [] and window.left_ms(100 + RETRY_MS - 1) == 1
    assert window.repeats(100 + RETRY_MS) == frames
    window.acknowledged(2, 200)
    assert window.room() == 2 and window.repeats(200 + RETRY_MS) == frames[2:]
    for strange in (0, 1, 2, SLOTS + 1, 255):
        window.acknowledged(strange, 200)
    assert window.room() == 2
    window.acknowledged(SLOTS, 200)
    assert window.room() == SLOTS and window.left_ms(300) == -1 and window.repeats(10_000) == []


def test_sequences_pass_255_and_never_are_0() -> None:
    sender, receiver = Window(), Window()
    for _ in range(1_000):
        ((_, sequence, _),) = Decoder().push(bytes(sender.put(messages.SCAN, b"", 0)))
        assert sequence and receiver.take(sequence) and not receiver.take(sequence)
        sender.acknowledged(receiver.taken(), 0)
    assert receiver.duplicates == 1_000 and following(255) == 1


def test_what_follows_a_hole_is_not_taken() -> None:
    window = Window()
    assert window.take(1) and not window.take(3) and window.take(2) and window.take(3) and window.taken() == 3
    assert window.restart() == 0 and window.take(1)


@pytest.mark.parametrize(
    ("now_ms", "then_ms", "passed_ms"), [(5, 5, 0), (7, 5, 2), (2, 0x3FFFFFFF, 3), (0, 0x3FFFFFFF, 1)]
)
def test_the_clock_may_wrap(now_ms: int, then_ms: int, passed_ms: int) -> None:
    assert elapsed_ms(now_ms, then_ms) == passed_ms


# --- messages

LAYOUTS: list[tuple[Callable[[bytes], object], bytes, object]] = [
    (messages.read_opening, messages.host_hello(1, 2, 70_000), (1, 2, 70_000)),
    (messages.read_opening, messages.head_hello(1, 2, 70_000, 3, (4, 5, 6), b"12345678"), (1, 2, 70_000)),
    (messages.read_head_hello, messages.head_hello(1, 2, 7, 3, (4, 5, 6), b"12345678"), (3, (4, 5, 6), b"12345678")),
    (messages.read_ping, messages.ping(65_535), 65_535),
    (messages.read_pong, messages.pong(1, 2, 70_000, 65_537), (1, 2, 70_000, 1)),
    (messages.read_light, messages.light(70_000, messages.LOCKED), (70_000, messages.LOCKED)),
    (messages.read_lit, messages.lit(70_000), 70_000),
    (messages.read_one_byte, messages.one_byte(200), 200),
    (messages.read_button, messages.button(2, messages.BUTTON_LONG), (2, messages.BUTTON_LONG)),
    (messages.read_identify, messages.identify(10_000), 10_000),
    (
        messages.read_status,
        messages.status((1, 2, 3, 4, 5, 6, 2**32 + 7), 3, (0, 1, 2)),
        (1, 2, 3, 4, 5, 6, 7, 3, 0, 1, 2),
    ),
]


@pytest.mark.parametrize(("read", "payload", "value"), LAYOUTS)
def test_each_layout_there_and_back(read: Callable[[bytes], object], payload: bytes, value: object) -> None:
    assert read(payload) == value
    for wrong in (payload[:-1], b""):
        if read is not messages.read_opening or len(wrong) < 6:
            with pytest.raises(ValueError, match="length"):
                read(wrong)
    if read is messages.read_opening:
        assert read(payload + b"of a later version") == value
    else:
        with pytest.raises(ValueError, match="length"):
            read(payload + b"x")


@pytest.mark.parametrize(
    ("token", "state"), [(1, messages.DARK), (1, messages.STATE_LAST + 1), (1, 255), (0, messages.WAIT)]
)
def test_a_light_that_is_none(token: int, state: int) -> None:
    with pytest.raises(ValueError, match="state"):
        messages.read_light(messages.light(token, state))


@pytest.mark.parametrize(
    ("ours", "theirs", "common"),
    [
        ((1, 1), (1, 1), 1),
        ((1, 3), (2, 5), 3),
        ((2, 5), (1, 3), 3),
        ((2, 3), (1, 1), -1),
        ((1, 1), (2, 3), -1),
        ((1, 1), (0, 0), -1),
    ],
)
def test_versions_meet_or_not(ours: tuple[int, int], theirs: tuple[int, int], common: int) -> None:
    assert messages.common_version(*ours, *theirs) == common


def test_both_interpreters_speak_alike() -> None:
    """The same source, the same bytes, and each reads the other's."""
    said = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from firmware.link.frames import Decoder, encode\n"
        "from firmware.link import messages\n"
        "from firmware.link.window import Window, elapsed_ms\n"
        "for size in range(201):\n"
        "    payload = bytes([(size * 7 + n * n) % 5 for n in range(size)])\n"
        "    frame = encode(size, 255 - size % 255, payload)\n"
        "    assert Decoder().push(b'garbage' + frame) == [(size, 255 - size % 255, payload)]\n"
        "    print(bytes(frame).hex())\n"
        "print(messages.head_hello(1, 2, 70000, 3, (4, 5, 6), b'12345678').hex())\n"
        "print(messages.status((1, 2, 3, 4, 5, 6, 2 ** 32 + 7), 3, (0, 1, 2)).hex())\n"
        "print(elapsed_ms(2, 0x3FFFFFFF), Window().put(7, b'', 0).hex())\n"
    )
    there = subprocess.run(
        [interpreter_path(), "-c", said, ROOT], capture_output=True, text=True, timeout=20, check=True
    ).stdout.splitlines()
    for size in range(201):
        payload = bytes((size * 7 + n * n) % 5 for n in range(size))
        assert there[size] == encode(size, 255 - size % 255, payload).hex()
    assert there[201] == messages.head_hello(1, 2, 70_000, 3, (4, 5, 6), b"12345678").hex()
    assert there[202] == messages.status((1, 2, 3, 4, 5, 6, 7), 3, (0, 1, 2)).hex()
    assert there[203] == f"3 {Window().put(7, b'', 0).hex()}"
