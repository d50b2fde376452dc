"""The first boot: its steps in order, what is done marked durably, and its report on the card. Decision 0225.

Whatever fails, the machine runs and the next start tries again: only when all is done are the words that start this
taken out of cmdline.txt. Exit codes: 0 done (the machine starts anew), 1 failed, 75 waiting for a network or an answer.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from firmware.flash.first_boot.enrolling import enrol, identity
from firmware.flash.first_boot.machine import (
    DISK_FULL,
    FILES_WRONG,
    FULL,
    NO_CITY,
    PACKAGES_MISSING,
    STEP_FAILED,
    WAITS,
    Failed,
    Machine,
    read_json,
    sha256_of,
    texts,
)
from firmware.flash.first_boot.steps import (
    WORK,
    Job,
    Step,
    access,
    after_all,
    debian,
    files,
    name,
    services,
    settings,
    slot,
    system,
    users,
    wifi,
)

FORMAT = 1
DONE, FAILED, WAITING = 0, 1, 75
LATER = (WAITS, NO_CITY, PACKAGES_MISSING)
STEPS: tuple[Step, ...] = (
    ("files", files),
    ("users", users),
    ("wifi", wifi),
    ("name", name),
    ("access", access),
    ("debian", debian),
    ("slot", slot),
    ("system", system),
    ("settings", settings),
    ("enrol", enrol),
    ("services", services),
)
_WORKING, _STUCK, _FINISHED = (100, 100), (1_000, 1_000), (1_000, 0)
_FINISHED_S = 10


def main(words: Sequence[str]) -> int:
    """One start: `--boot FOLDER` is the boot partition, `--root FOLDER` the system when it is not the one that runs.
    Returns the exit code."""
    given = dict(zip(words[::2], words[1::2], strict=True))
    boot, root = Path(given["--boot"]), Path(given.get("--root", "/"))
    os.umask(0o022)
    machine = Machine(root.resolve(), boot.resolve(), _say)
    return run(Job(machine, read_json(machine.boot / "kgo" / "card.json")))


def run(job: Job) -> int:
    """All steps that are not done yet. Returns the exit code."""
    machine = job.machine
    machine.light(*_WORKING)
    done: list[str] = []
    try:
        done = _done_before(job)
        _go_on(job, done)
        _report(job, done, None)
        _start_as_usual(job)
    except Failed as failed:
        wrong = failed
    except OSError as error:
        wrong = Failed(DISK_FULL if error.errno in FULL else STEP_FAILED, f"{error.filename}: {error.strerror}")
    else:
        after_all(job)
        machine.say("done: the terminal starts")
        machine.light(*_FINISHED)
        ends_s = time.monotonic() + _FINISHED_S
        machine.wait_for(lambda: time.monotonic() >= ends_s, _FINISHED_S)
        return DONE
    machine.light(*_STUCK)
    machine.say(f"{wrong.number} {wrong.detail}")
    try:
        _report(job, done, wrong)
    except OSError as error:
        machine.say(f"the report could not be written: {error}")
    return WAITING if wrong.number in LATER else FAILED


def _go_on(job: Job, done: list[str]) -> None:
    for number, (step, act) in enumerate(STEPS, 1):
        if step in done:
            continue
        job.machine.say(f"[{number}/{len(STEPS)}] {step}")
        act(job)
        done.append(step)
        _mark(job, done)


def _done_before(job: Job) -> list[str]:
    """The steps that an earlier start has done, of this very card. Raises Failed."""
    if not job.card:
        raise Failed(FILES_WRONG, "card.json")
    kept = read_json(job.machine.at(f"{WORK}/state.json"))
    return list(texts(kept.get("done"))) if kept.get("card") == _card_sha256(job) else []


def _mark(job: Job, done: Sequence[str]) -> None:
    job.machine.folder(job.machine.at(WORK), 0o700)
    said = {"card": _card_sha256(job), "done": list(done)}
    job.machine.write(job.machine.at(f"{WORK}/state.json"), json.dumps(said).encode(), 0o600)


def _card_sha256(job: Job) -> str:
    return sha256_of(job.on_card("card.json"))


def _report(job: Job, done: Sequence[str], wrong: Failed | None) -> None:
    """What was done, for the bench to read: no secret, no key."""
    machine = job.machine
    said: dict[str, object] = {
        "format": FORMAT,
        "device": job.text("device"),
        "result": "done" if wrong is None else "waiting" if wrong.number in LATER else "failed",
        "refusal": 0 if wrong is None else wrong.number,
        "detail": "" if wrong is None else wrong.detail,
        "done": list(done),
        "card_sha256": _card_sha256(job),
        "version": job.text("version"),
        "machine": _machine_facts(machine),
        "settings_sha256": sha256_of(job.settings) if job.card else "",
        "at_s": int(time.time()),
        **(identity(job) if "enrol" in done else {}),
    }
    machine.write(machine.boot / "kgo" / "first-boot.json", (json.dumps(said, indent=1) + "\n").encode())


def _machine_facts(machine: Machine) -> dict[str, object]:
    """Serial number and model as the processor says, addresses of its network cards, the system's name."""
    found: dict[str, object] = {"kernel": platform.release(), "processor": platform.machine()}
    for line in machine.lines("/proc/cpuinfo"):
        key, _, value = line.partition(":")
        if key.strip() in ("Serial", "Model"):
            found[key.strip().lower()] = value.strip()
    for line in machine.lines("/etc/os-release"):
        if line.startswith("PRETTY_NAME="):
            found["system"] = line.partition("=")[2].strip('"')
    cards = sorted(one.parent for one in machine.root.glob("sys/class/net/*/device"))  # made of hardware
    found["macs"] = {card.name: (card / "address").read_text("ascii", "replace").strip() for card in cards}
    return found


def _start_as_usual(job: Job) -> None:
    """cmdline.txt without the bench's words: from its one rename on, the machine starts as a terminal."""
    place, ours = job.machine.boot / "cmdline.txt", texts(job.card.get("start_words"))
    kept = [word for word in place.read_text("ascii").split() if word not in ours]
    job.machine.write(place, " ".join(kept).encode() + b"\n")


def _say(line: str) -> None:
    sys.stdout.write(f"KGO first boot: {line}\n")
    sys.stdout.flush()
