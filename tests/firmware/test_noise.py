"""Tens of thousands of frames through noise: nothing whole is lost, nothing is invented, memory stays, nothing locks.

`make test` sends 50,000 frames, the soak a million. DESIGN §10 (reader head), FIELD_LESSONS 31.
"""

import random
import time
from collections.abc import Callable

from firmware.link import messages
from firmware.link.frames import Decoder, encode
from firmware.reader_head.lights import BRIGHTNESS_DAY
from simulators.head import SimulatedHead
from tests.firmware.host import Host
from tests.firmware.test_head import HEAP_BYTES_LEAST, keep_alive, scanned

FRAMES, FRAMES_SOAK = 50_000, 1_000_000
BATCH = 40  # on the cable at once; the head answers each, so both ways are full
STEADY_BYTES = 4_096  # so much less free memory at the end would be a leak of a fraction of a byte a frame
ANSWER_S_MAX = 5.0


def spoil(frame: bytes, rng: random.Random) -> bytes:
    """One frame as a bad cable gives it; whole only by a rare chance."""
    at = rng.randrange(1, len(frame) - 1)
    match rng.randrange(4):
        case 0:
            return frame[:at] + bytes([frame[at] ^ rng.randrange(1, 256)]) + frame[at + 1 :]
        case 1:
            return frame[:at]
        case 2:
            return frame[:at] + rng.randbytes(rng.randrange(1, 30)) + frame[at:]
        case _:
            return rng.randbytes(rng.randrange(1, 400))


def test_frames_through_noise(
    head: SimulatedHead,
    host: Host,
    rng: random.Random,
    slice_of: Callable[[int, int], int],
    report: Callable[[str], None],
) -> None:
    free_before, reference = settled_memory(host), Decoder()
    count, good, spoilt, token = slice_of(FRAMES_SOAK, FRAMES), 0, 0, 0
    begun_s = time.monotonic()
    for at in range(0, count, BATCH):
        wire, whole = bytearray(), 0
        for number in range(at, at + BATCH):
            if rng.randrange(64) == 0:
                token += 1
                frame = bytes(encode(messages.LIGHT, 0, messages.light(token, rng.randint(1, messages.STATE_LAST))))
            else:
                frame = bytes(encode(messages.PING, 0, messages.ping(number & 0xFFFF)))
            if rng.randrange(8) == 0:
                wire += spoil(frame, rng)
                spoilt += 1
            else:
                wire += frame
                whole += 1
        wire += b"\0"
        wanted = len(reference.push(wire))  # CPython reads the same frames in it as the head
        assert wanted >= whole
        host.send_raw(bytes(wire))
        answers = 0
        until_s = time.monotonic() + ANSWER_S_MAX
        while answers < wanted:
            assert time.monotonic() < until_s, f"{answers} of {wanted} answers at frame {at}: {head.standard_error()}"
            answers += sum(kind in (messages.PONG, messages.LIT) for kind, _, _ in host.hear(0.1))
        host.frames.clear()
        assert answers == wanted, f"at frame {at}"
        good += wanted
    took_s = time.monotonic() - begun_s
    assert settled_memory(host) >= free_before - STEADY_BYTES
    least, errors = host.status()[2:4]
    assert least >= HEAP_BYTES_LEAST and errors >= spoilt // 4
    report(f"reader head: {good} frames answered, {spoilt} spoilt, {int(count / took_s)} a second, {least} bytes free")


def settled_memory(host: Host) -> int:
    """Free bytes after the head had a quiet second to tidy up."""
    keep_alive(host, 0.3)
    uptime_ms = host.status()[0]
    until_s = time.monotonic() + ANSWER_S_MAX
    while (status := host.status())[0] < uptime_ms + 1_300:
        assert time.monotonic() < until_s
        host.hear_for(0.2)
    return status[1]


def test_scans_through_noise_in_both_directions(head: SimulatedHead, host: Host, rng: random.Random) -> None:
    """Every byte once and in order, though frames and acknowledgements are damaged on the way."""
    data = rng.randbytes(20_000)
    head.set_noise(1_000)
    for at in range(0, len(data), 1_000):
        head.scan(data[at : at + 1_000], suffix=b"")
        until_s = time.monotonic() + ANSWER_S_MAX
        while len(scanned(host.frames)) < at + 1_000:
            assert time.monotonic() < until_s
            host.send(messages.PING, messages.ping(1))
            host.hear_for(0.02)
    assert scanned(host.frames) == data
    head.set_noise(0)
    host.hear_for(0.1)
    host.send_raw(b"\0")
    assert host.pong()[3] == 0 and host.decoder.errors + host.status()[3] > 5


def test_whole_frames_that_make_no_sense_do_not_stop_it(head: SimulatedHead, host: Host, rng: random.Random) -> None:
    """A terminal gone mad: right checks, wrong everything else."""
    host.light(1, messages.WAIT)
    kinds = [kind for kind in range(20) if kind != messages.HELLO]
    for number in range(3_000):
        payload = rng.randbytes(rng.choice([0, 1, 2, 3, 4, 5, 7, 36, rng.randrange(201)]))
        host.send(rng.choice(kinds), payload, rng.choice([0, 0, number % 256]))
        host.hear()
    host.greet(78)
    host.send(messages.BRIGHTNESS, messages.one_byte(BRIGHTNESS_DAY), 1)  # who knows what it was told
    host.light(1, messages.LOCKED)
    assert head.state() == messages.LOCKED and host.status()[7] == 1  # it never restarted
    for payload in (b"", b"\0", rng.randbytes(5), rng.randbytes(200)):
        host.send(messages.HELLO, payload)
        host.hear_for(0.02)
    host.greet(79)
    host.light(1, messages.WAIT)
