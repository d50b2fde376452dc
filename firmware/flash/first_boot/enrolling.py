"""Enrolment at the first boot: with a token and a network, else by two files that somebody carries. DESIGN §4.

The program's own `enrol` makes the key, on this machine, as its own user; here it is only asked. Everything may be
repeated: the same key, the same answer.
"""

from contextlib import suppress
from pathlib import Path

from firmware.flash.first_boot.machine import (
    ENROLMENT_REFUSED,
    NO_CITY,
    STEP_FAILED,
    WAITS,
    Failed,
    Ran,
    sha256_of,
)
from firmware.flash.first_boot.steps import HOME, USER, Job

LATER = 75
TRIES = 6
REQUEST, ANSWER, TOKEN = "request.kgo", "answer.kgo", "token"
CERTIFICATE = "device.cert"


def enrol(job: Job) -> None:
    """The device's key and its certificate. Raises Failed: also to wait for an answer."""
    machine = job.machine
    token, answer = job.on_card(TOKEN), job.on_card(ANSWER)
    if not _is_enrolled(job):
        if answer.exists():
            _by_answer(job, answer)
        elif token.exists():
            _by_token(job, token.read_text("ascii", "replace").strip())
        else:
            _write_request(job)
            raise Failed(WAITS, f"kgo/{REQUEST}")
    machine.wipe(token)
    for left in (answer, job.on_card(REQUEST), machine.at(f"{HOME}/{ANSWER}"), machine.at(f"{HOME}/{REQUEST}")):
        machine.wipe(left)


def _is_enrolled(job: Job) -> bool:
    """The program itself says so: key, certificate and city's keys belong together."""
    return job.machine.at(f"{HOME}/{CERTIFICATE}").exists() and bool(identity(job))


def identity(job: Job) -> dict[str, str]:
    """Fingerprints of key and certificate, and the version of the city's keys; empty before enrolment."""
    ran = _ask(job, "check")
    said = dict(line.split(" ", 1) for line in ran.out.splitlines() if " " in line)
    return {key: said[key] for key in ("key_fingerprint", "certificate_sha256", "trust_list_version") if key in said}


def _by_token(job: Job, token: str) -> None:
    """The city may be a while away, and so may the time of day, by which its certificate is judged."""
    machine = job.machine
    machine.wait_for_time()
    left = TRIES

    def is_over() -> bool:
        nonlocal left
        left -= 1
        said.append(_ask(job, "enrol", "--token", token))
        return said[-1].code != LATER or left == 0

    said: list[Ran] = []
    machine.wait_for(is_over, 10 * TRIES)
    if said[-1].code and not _is_enrolled(job):
        raise Failed(NO_CITY if said[-1].code == LATER else ENROLMENT_REFUSED, said[-1].last)


def _by_answer(job: Job, answer: Path) -> None:
    place = job.machine.at(f"{HOME}/{ANSWER}")
    job.machine.write(place, answer.read_bytes(), 0o600, USER)
    ran = _ask(job, "enrol", "--answer", str(place))
    if ran.code and not _is_enrolled(job):  # a bulletin that came along and was not taken comes again by itself
        raise Failed(ENROLMENT_REFUSED, ran.last)


def _write_request(job: Job) -> None:
    """One request is enough: an answer to an older one is as good, for the key is the same."""
    place, card = job.machine.at(f"{HOME}/{REQUEST}"), job.on_card(REQUEST)
    if place.exists() and sha256_of(place) == sha256_of(card):
        return
    with suppress(FileNotFoundError):
        place.unlink()  # of a cut, or a request that never reached the card
    ran = _ask(job, "enrol", "--request", str(place))
    if ran.code:
        raise Failed(STEP_FAILED, ran.last)
    job.machine.write(card, place.read_bytes())


def _ask(job: Job, *words: str) -> Ran:
    return job.machine.run(job.program, "--settings", str(job.settings), "--language", "en", *words, user=USER)
