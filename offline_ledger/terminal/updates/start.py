#!/usr/bin/python3 -IS
"""Starts a terminal's program from the slot that is its turn, and goes back by itself. DESIGN §3; decision 0214.

    start [--root FOLDER] [--state FOLDER] PROGRAM [ARGUMENT...]
    start [--root FOLDER] [--state FOLDER] --back

This file is also installed alone, as /opt/kgo/start: no update replaces it, and it imports nothing but Python's own. A
start of a slot that has not proved itself is counted, durably, before the program runs; after two the other slot has a
turn. Whatever became of the state on the disk, some slot is started. `--back` gives the other slot its turn by hand,
without any slot's own code, while no program of a slot runs. Never writes into a slot.
"""

import errno
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, NoReturn, cast
from zlib import crc32

ROOT, STATE = "/opt/kgo", "/var/lib/kgo/updates"
SLOTS = ("a", "b")
MANIFEST = "manifest.json"
"""Written last of all that is in a slot: one without it is no slot yet."""
EMPTY, STAGED, TRYING, GOOD, FAILED = "empty", "staged", "trying", "good", "failed"
MARKS = (EMPTY, STAGED, TRYING, GOOD, FAILED)
STARTS_MAX = 2
"""So often a slot may be started before it has proved itself."""
GIVEN_UP_MAX = 8
"""So many packages that were given up are remembered, the newest; more than a city releases in a bad month."""
STATE_FILES = ("state.json", "state.copy.json")
STATE_BYTES_MAX = 16_384
LOCK_S_MAX = 2.0
"""So long a start waits for who else changes the state; then it goes on: a terminal that waits takes no customer."""
FORMAT = 1
EXIT_NO_SLOT = 1
EXIT_NOT_BACK, EXIT_LATER = 1, 75
HERE, STATE_HERE, ROOT_HERE = "KGO_SLOT", "KGO_SLOT_STATE", "KGO_SLOT_ROOT"
"""How a program hears which slot it is, and where the state and the slots lie."""


class Slot(NamedTuple):
    """What is known of one slot; `package`: the SHA-256 of the package it was made from, in hex."""

    mark: str = EMPTY
    version: str = ""
    package: str = ""


NO_SLOT = Slot()


class State(NamedTuple):
    """The whole truth. `starts`: of the active slot, while it has not proved itself. `undone`: what was last given
    up, so that a former one runs; nothing once somebody switches. `before`: the troubles that stood when the running
    program allowed the switch. `given_up`: the SHA-256 of packages that were tried here and left, the last one last;
    what proves itself after all is not among them."""

    active: str
    a: Slot = Slot()
    b: Slot = Slot()
    starts: int = 0
    undone: Slot = Slot()
    before: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()

    def slot(self, name: str) -> Slot:
        """By its name."""
        return self.a if name == "a" else self.b

    @property
    def other(self) -> str:
        """The slot that does not run."""
        return "b" if self.active == "a" else "a"

    def put(self, name: str, slot: Slot) -> "State":
        """With this slot so."""
        return self._replace(a=slot) if name == "a" else self._replace(b=slot)

    def leaving(self, left: Slot, taken: Slot = NO_SLOT) -> "State":
        """`left` is what was last given up; `taken` has another chance."""
        packages = (*(one for one in self.given_up if one not in (left.package, taken.package)), left.package)
        return self._replace(undone=left, given_up=tuple(filter(None, packages))[-GIVEN_UP_MAX:])


class NotNow(Exception):
    """The table has no such step: the mark of the active slot, the event, the mark of the other one."""


# --- the table: pure

STAGE, CLEAR, SWITCH, START, PROVE, BACK, UNUSABLE = "stage", "clear", "switch", "start", "prove", "back", "unusable"

KEEP, EMPTIED, FILLED, TURN, COUNT, PROVED, UNDO, RETURN = (
    "keep", "emptied", "filled", "turn", "count", "proved", "undo", "return",
)  # fmt: skip
ANY = MARKS
TABLE: dict[tuple[str, str, str], str] = {
    # The active slot is good: the other one may be written, and take its turn.
    **{(GOOD, CLEAR, other): EMPTIED for other in ANY},
    (GOOD, STAGE, EMPTY): FILLED,
    (GOOD, SWITCH, STAGED): TURN,
    **{(GOOD, START, other): KEEP for other in ANY},
    **{(GOOD, PROVE, other): KEEP for other in ANY},
    (GOOD, BACK, GOOD): RETURN,
    **{(GOOD, UNUSABLE, other): RETURN for other in (GOOD, TRYING, STAGED)},
    # It has still to prove itself: the other one is what it falls back to, and nobody writes there.
    **{(TRYING, START, other): COUNT for other in ANY},
    **{(TRYING, PROVE, other): PROVED for other in ANY},
    (TRYING, BACK, GOOD): UNDO,
    **{(TRYING, UNUSABLE, other): UNDO for other in (GOOD, TRYING)},
}
"""(mark of the active slot, event, mark of the other one) → what happens. What is not here is refused."""


def after(state: State, event: str, slot: Slot = NO_SLOT) -> State:
    """The state after an event; `slot`: what was staged. Raises NotNow."""
    active, other = state.slot(state.active), state.slot(state.other)
    step = TABLE.get((active.mark, event, other.mark))
    if step == COUNT and state.starts >= STARTS_MAX:
        step = UNDO if other.mark in (GOOD, TRYING) else KEEP  # nothing to go back to: better this one than none
    match step:
        case "keep":
            return state
        case "emptied":
            return state.put(state.other, Slot())
        case "filled":
            return state.put(state.other, slot._replace(mark=STAGED))
        case "turn":
            turned = state.put(state.other, other._replace(mark=TRYING))
            return turned._replace(active=state.other, starts=0, undone=NO_SLOT)  # no former one runs any more
        case "count":
            return state._replace(starts=state.starts + 1)
        case "proved":
            good = state.put(state.active, active._replace(mark=GOOD)).leaving(NO_SLOT, active)
            return good._replace(starts=0, before=())
        case "undo":
            mark = FAILED if other.mark == GOOD else TRYING  # of two that nobody knows, each has its turn again
            back = state.put(state.active, active._replace(mark=mark))
            starts = 0 if other.mark == GOOD else int(event == START)
            return back.leaving(active)._replace(active=state.other, starts=starts, before=())
        case "return":
            back = state.put(state.other, other._replace(mark=other.mark if other.mark == GOOD else TRYING))
            undone = Slot() if other.package and other.package == state.undone.package else active
            return back.leaving(undone, other)._replace(active=state.other, starts=0, before=())
        case _:
            raise NotNow(f"{active.mark} {event} {other.mark}")


def first_state(whole: Sequence[str], versions: dict[str, str]) -> State | None:
    """When nothing is known: the first slot that is whole has its turn, and every one has still to prove itself."""
    if not whole:
        return None
    state = State(whole[0])
    for name in whole:
        state = state.put(name, Slot(TRYING, versions.get(name, "")))
    return state


# --- its bytes: pure


def encode_state(state: State) -> bytes:
    """One JSON object, with a checksum."""
    said: dict[str, object] = {
        "format": FORMAT,
        "active": state.active,
        "starts": state.starts,
        "slots": {name: state.slot(name)._asdict() for name in SLOTS},
        "undone": state.undone._asdict(),
        "before": list(state.before),
        "given_up": list(state.given_up),
    }
    return json.dumps(said | {"crc": _crc(said)}, ensure_ascii=False, indent=1).encode() + b"\n"


def decode_state(data: bytes) -> State:
    """Raises ValueError for anything else."""
    try:
        said = cast(dict[str, object], json.loads(data))
        crc = said.pop("crc")
        if crc != _crc(said) or said["format"] != FORMAT:
            raise ValueError("its checksum")
        slots = cast(dict[str, dict[str, str]], said["slots"])
        a, b, undone = map(_slot_said, (slots["a"], slots["b"], cast(dict[str, str], said["undone"])))
        before = tuple(cast(list[str], said["before"]))
        given_up = cast(list[str], said.get("given_up", [undone.package] if undone.package else []))
        state = State(cast(str, said["active"]), a, b, cast(int, said["starts"]), undone, before, tuple(given_up))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no state: {error}") from None
    is_sound = state.active in SLOTS and a.mark in MARKS and b.mark in MARKS and type(state.starts) is int
    if not is_sound or state.slot(state.active).mark not in (TRYING, GOOD):
        raise ValueError("no state: its values")
    return state


def _slot_said(said: dict[str, str]) -> Slot:
    """No update replaces the launcher: what a later version says besides is passed over (decision 0229)."""
    return Slot(said["mark"], said["version"], said["package"])


def _crc(said: dict[str, object]) -> int:
    return crc32(json.dumps(said, ensure_ascii=False, sort_keys=True).encode())


# --- on the disk


class SlotDisk:
    """Where the slots and the state lie. Whoever changes the state holds the lock from reading to writing."""

    def __init__(self, root: str = ROOT, state: str = STATE) -> None:
        self.root, self.state = root, state
        self.is_damaged = self.is_uneven = False
        """The last reading found a state that is none, in one copy at least; two copies that are not the same."""

    def slot(self, name: str) -> str:
        """Its folder."""
        return f"{self.root}/slots/{name}"

    def program(self, name: str, program: str) -> str:
        """The file to run."""
        return f"{self.slot(name)}/bin/{program}"

    def whole(self) -> list[str]:
        """The slots that were wholly installed."""
        return [name for name in SLOTS if os.path.isfile(f"{self.slot(name)}/{MANIFEST}")]

    def version(self, name: str) -> str:
        """As its manifest says; empty: it says none."""
        try:
            with open(f"{self.slot(name)}/{MANIFEST}", "rb") as file:
                return str(cast(dict[str, object], json.load(file)).get("version", ""))
        except (OSError, ValueError, AttributeError):
            return ""

    def read(self) -> State | None:
        """The newer copy that is sound; None: neither is. Raises nothing."""
        self.is_damaged, found = False, list[State | None]()
        for name in STATE_FILES:
            try:
                with open(f"{self.state}/{name}", "rb") as file:
                    found.append(decode_state(file.read(STATE_BYTES_MAX)))
            except FileNotFoundError:
                found.append(None)
            except (OSError, ValueError):
                found.append(None)
                self.is_damaged = True
        self.is_uneven = found[0] != found[1]
        return found[0] or found[1]

    def known(self) -> State | None:
        """What is on the disk, else what the slots themselves say; None: there is no slot. Raises nothing."""
        return self.read() or first_state(self.whole(), {name: self.version(name) for name in SLOTS})

    def write(self, state: State) -> None:
        """Durable when it returns; a power cut at any moment leaves the old state or this one. Raises OSError."""
        data = encode_state(state)
        for name in STATE_FILES:  # both first: a disk that is full says so while neither copy is changed
            self._write_beside(name, data)
        for name in STATE_FILES:
            os.replace(f"{self.state}/.{name}.new", f"{self.state}/{name}")
            self._sync_folder()

    def _write_beside(self, name: str, data: bytes) -> None:
        waiting = f"{self.state}/.{name}.new"
        with suppress(FileNotFoundError):
            os.unlink(waiting)  # left by a power cut
        descriptor = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            os.fchmod(descriptor, 0o644)  # the technician's `status` reads it too
            if os.write(descriptor, data) != len(data):
                raise OSError(errno.ENOSPC, "not all of it was written")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def why_not_back(self, active: str, other: str) -> str:
        """Could the other slot's version not read what the active one leaves? Empty: it can, by their manifests."""
        try:
            kept = self._stores(active)
        except (OSError, ValueError, AttributeError):
            kept = {}  # the broken slot keeps nobody from leaving it
        try:
            reads = self._stores(other)
            for name in sorted(kept.keys() & reads.keys()):
                oldest, newest = cast(list[int], reads[name]["reads"])
                if not oldest <= cast(int, kept[name]["writes"]) <= newest:
                    return f"its version cannot read the {name} of slot {active}"
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return f"a manifest cannot be read: {error}"
        return ""

    def _stores(self, name: str) -> dict[str, dict[str, object]]:
        with open(f"{self.slot(name)}/{MANIFEST}", "rb") as file:
            return cast(dict[str, dict[str, object]], json.load(file).get("stores", {}))

    def running(self) -> int:
        """The process id of a program of a slot; 0: none is seen."""
        programs = tuple(os.fsencode(f"{self.slot(name)}/bin/") for name in SLOTS)
        for number in filter(str.isdecimal, os.listdir("/proc")):
            with suppress(OSError), open(f"/proc/{number}/cmdline", "rb") as file:
                if any(word.startswith(programs) for word in file.read().split(b"\0")):
                    return int(number)
        return 0

    def changed(self, change: Callable[[State], State], wait_s: float = LOCK_S_MAX) -> State:
        """Reads, changes, writes, with the lock. Raises NotNow, OSError; TimeoutError: another has the lock;
        FileNotFoundError: there is no state and no slot."""
        held = self.lock(wait_s)
        try:
            before = self.known()
            if before is None:
                raise FileNotFoundError(f"no slot in {self.root}/slots")
            now = change(before)
            if now != before or self.is_damaged or self.is_uneven:
                self.write(now)
            return now
        finally:
            os.close(held)

    def lock(self, wait_s: float) -> int:
        """A descriptor that holds the state until it is closed. Raises OSError, TimeoutError."""
        os.makedirs(self.state, exist_ok=True)
        return hold(self.state, wait_s)

    def _sync_folder(self) -> None:
        folder = os.open(self.state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def hold(folder: str, wait_s: float) -> int:
    """A descriptor; until it is closed no other `hold` of this folder ends. Raises OSError, TimeoutError."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    until_s = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return held
        except BlockingIOError:
            if time.monotonic() >= until_s:
                os.close(held)
                raise TimeoutError(f"another works in {folder}") from None
            time.sleep(0.01)
        except OSError:
            os.close(held)
            raise


# --- the launcher

TAKES_VALUE = ("--settings", "--language")
WITH_VALUE = tuple(f"{word}=" for word in TAKES_VALUE)


def is_start(arguments: Sequence[str]) -> bool:
    """Is this the terminal itself, and no command beside it?"""
    words = iter(arguments)
    rest = [
        word for word in words if not word.startswith(WITH_VALUE) and not (word in TAKES_VALUE and next(words, word))
    ]
    return rest in ([], ["run"])


def choose(disk: SlotDisk, program: str, *, is_counted: bool) -> str | None:
    """The slot whose turn it is, counted; None: there is none."""
    if not is_counted:
        state = disk.read()
        return state.active if state is not None else next(iter(disk.whole()), None)
    try:
        return disk.changed(lambda state: _turn(disk, state, program)).active
    except FileNotFoundError:
        return None
    except OSError as error:  # what cannot be counted is not tried: a slot that has proved itself needs no count
        say(f"the start is not counted: {error}")
        state = disk.read()
        if state is None:
            return next(iter(disk.whole()), None)
        is_unproved = state.slot(state.active).mark == TRYING and state.slot(state.other).mark == GOOD
        return state.other if is_unproved else state.active


def _turn(disk: SlotDisk, state: State, program: str) -> State:
    """One that lacks its program has no turn."""
    now = after(state, START)
    if not os.access(disk.program(now.active, program), os.X_OK):
        with suppress(NotNow):
            other = after(now, UNUSABLE)
            if os.access(disk.program(other.active, program), os.X_OK):
                say(f"slot {now.active} has no {program}")
                now = after(other, START)
    if now.active != state.active:
        given_up, taken = state.slot(state.active), now.slot(now.active)
        say(f"slot {state.active} ({given_up.version}) is given up, slot {now.active} ({taken.version}) starts")
    return now


def back(disk: SlotDisk) -> int:
    """By hand, when a version that was good starts no more. Returns the exit code; says why it is not done."""
    number = disk.running()
    if number:
        say(f"a program of a slot runs (process {number}): stop the service first · หยุดบริการก่อน")
        return EXIT_LATER

    def gone_back(state: State) -> State:
        now = after(state, BACK)
        why = disk.why_not_back(state.active, now.active)
        if why:
            raise NotNow(why)
        return now

    try:
        now = disk.changed(gone_back)
    except NotNow as why:
        say(f"no way back: {why} · ย้อนกลับไม่ได้")
        return EXIT_NOT_BACK
    except OSError as error:
        say(f"not done: {error} · ทำไม่ได้")
        return EXIT_LATER if isinstance(error, TimeoutError) else EXIT_NOT_BACK
    say(f"slot {now.active} ({now.slot(now.active).version}) is next · ครั้งหน้าเริ่มจากช่อง {now.active}")
    return 0


def say(line: str) -> None:
    """For the service's log."""
    with suppress(OSError):
        sys.stderr.write(f"kgo start: {line}\n")
        sys.stderr.flush()


def main(arguments: list[str]) -> NoReturn:
    """Becomes the program."""
    root, state = ROOT, STATE
    while len(arguments) > 1 and arguments[0] in ("--root", "--state"):
        root, state = (arguments[1], state) if arguments[0] == "--root" else (root, arguments[1])
        arguments = arguments[2:]
    if arguments == ["--back"]:
        sys.exit(back(SlotDisk(os.path.abspath(root), os.path.abspath(state))))
    if not arguments or arguments[0].startswith("-") or "/" in arguments[0]:
        say("start [--root FOLDER] [--state FOLDER] PROGRAM [ARGUMENT...] | --back")
        sys.exit(2)
    program, rest = arguments[0], arguments[1:]
    disk = SlotDisk(os.path.abspath(root), os.path.abspath(state))
    is_counted = is_start(rest)
    slot = choose(disk, program, is_counted=is_counted)
    if slot is None:
        say(f"no slot in {disk.root}/slots is whole")
        sys.exit(EXIT_NO_SLOT)
    if disk.is_damaged:
        say(f"the state in {disk.state} was damaged")
    others = (name for name in disk.whole() if name != slot)
    for name in (slot, *others):  # a file that is there and cannot run: better the other slot, at once, than none
        path = disk.program(name, program)
        around = {**os.environ, HERE: name, STATE_HERE: disk.state, ROOT_HERE: disk.root}
        try:
            os.execve(path, [path, *rest], around)
        except OSError as error:
            say(f"{path}: {error.strerror}")
    sys.exit(EXIT_NO_SLOT)


if __name__ == "__main__":
    main(sys.argv[1:])
