"""The files on a board, through mpremote as a program: asked, sent, read back, switched. Decision 0203.

The board has two folders, /head_a and /head_b, and main.py names one. New files go beside the running ones; the one
change that counts is the renaming of main.py, which LittleFS does whole or not at all: a power cut leaves the old
firmware or the new one. Talks only to a board that shows MicroPython's prompt.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from threading import Timer
from typing import NamedTuple

from firmware.flash.boot_text import BOOT_CHARACTERS_MAX, is_idle_boot
from firmware.flash.head_files import HeadFiles, version_text
from firmware.link.messages import CAUSE_TRIAL
from offline_ledger.errors import BoardFull, BoardLost, FileDiffers

SLOTS = ("/head_a", "/head_b")
MAIN = "/main.py"
MAIN_NEW = "/main.new"
OLD_FOLDER = "/firmware"
"""Where the first heads had their only copy."""
MARK = "# KGO reader head"
OLD_MAIN = "from firmware.reader_head.main import main"
SERVICE_REGISTER, RESTART_ASKED = 0x4005800C, 0x0B6E7A12
"""Holds the wish for the prompt over a reset (`reader_head/pins.py`); a board without main.py never looked at it."""
MPREMOTE_S_MAX = 120.0
SAID_CHARACTERS_MAX = 300
_FACTS = "KGO-FACTS "
_READING = "KGO-READING"
_DIFFERS = "KGO-DIFFERS "
_STARTING = "KGO-STARTING"
_RESTARTING = "KGO-RESTARTING"
_FULL = ("No space left", "ENOSPC", "OSError: 28")

_HELPERS = """
import os,sys,json,hashlib,machine
from binascii import hexlify
def kgo_sha(p):
 d=hashlib.sha256();b=bytearray(1024);m=memoryview(b)
 with open(p,'rb') as f:
  n=f.readinto(b)
  while n:
   d.update(m[:n]);n=f.readinto(b)
 return hexlify(d.digest()).decode()
def kgo_walk(p,o):
 try:
  for e in os.ilistdir(p):
   q=p+'/'+e[0]
   if e[1]==0x4000:kgo_walk(q,o)
   else:o[q]=kgo_sha(q)
 except OSError:pass
 return o
def kgo_text(p,n=400):
 try:
  with open(p) as f:return f.read(n)
 except OSError:return None
 except UnicodeError:return chr(0)
"""
_ONLY = """import machine,binascii
if binascii.hexlify(machine.unique_id()).decode()!=%s:raise RuntimeError('another board')
"""
_ASK = """
o={}
for p in %s:kgo_walk(p,o)
s=os.statvfs('/')
print('KGO-FACTS '+json.dumps({'name':list(os.uname()),'id':hexlify(machine.unique_id()).decode(),
'bytecode':getattr(sys.implementation,'_mpy',0)&255,'main':kgo_text('/main.py'),'boot':kgo_text('/boot.py',%d),'files':o,'free':s[0]*s[3]}))
"""
_STAGE = """
def kgo_make(p):
 try:os.mkdir(p)
 except OSError:pass
def kgo_drop(p):
 try:
  for e in list(os.ilistdir(p)):
   q=p+'/'+e[0]
   if e[1]==0x4000:kgo_drop(q)
   else:os.remove(q)
  os.rmdir(p)
 except OSError:pass
for p in %s:os.remove(p)
for p in %s:kgo_drop(p)
for p in %s:kgo_make(p)
for a,z in %s:
 with open(a,'rb') as f,open(z,'wb') as g:
  b=f.read(1024)
  while b:
   g.write(b);b=f.read(1024)
"""
_CHECK = """
print('KGO-READING')
w=%s
o=kgo_walk(%s,{})
d=[p for p in set(w)|set(o) if w.get(p)!=o.get(p)]
if d:
 print('KGO-DIFFERS '+' '.join(sorted(d)))
 raise RuntimeError('differs')
"""
_FRESH = """
import sys
for m in [m for m in sys.modules if m.split('.')[0]=='firmware']:del sys.modules[m]
sys.path.insert(0,%s)
"""
# The wish for the prompt is taken back first: a board without main.py still has it from a trial that was cut.
_TRY = f"import machine;machine.mem32[{SERVICE_REGISTER}]=0;from firmware.reader_head.main import main;main(cause=%d)"
_SWITCH = """
w=%s
with open('/main.new','w') as f:f.write(w)
if kgo_text('/main.new')!=w:
 print('KGO-DIFFERS /main.py')
 raise RuntimeError('differs')
os.rename('/main.new','/main.py')
"""


class Inventory(NamedTuple):
    """What a board at its prompt says of itself. `files`: full name → SHA-256 in hex, of our folders alone. `main`: the
    beginning of its main.py, None for none."""

    release: str
    machine: str
    board: str
    bytecode: int
    main: str | None
    files: Mapping[str, str]
    free_bytes: int
    boot: str | None = None
    """Its boot.py, which runs before main.py; one character more than `BOOT_CHARACTERS_MAX` for a longer one."""

    @property
    def active(self) -> str | None:
        """The folder that main.py starts."""
        if self.main is None or not self.main.startswith(MARK):
            return None
        return next((slot for slot in SLOTS if f'"{slot}"' in self.main), None)

    @property
    def is_old_layout(self) -> bool:
        """A head from before the two folders."""
        return self.main is not None and self.main.lstrip().startswith(OLD_MAIN)

    @property
    def has_other_program(self) -> bool:
        """Does its boot.py do anything, or its main.py start something that is not ours?"""
        if self.boot is not None and not is_idle_boot(self.boot):
            return True
        return self.main is not None and self.active is None and not self.is_old_layout


def inventory_of(line: str) -> Inventory:
    """What a board's own line says. Raises ValueError for any that no board of ours would say."""
    try:
        facts = json.loads(line)
        _, _, release, _, machine = (str(word) for word in facts["name"])
        files = {str(name): str(sha256) for name, sha256 in facts["files"].items()}
        main, boot = (None if facts[key] is None else str(facts[key]) for key in ("main", "boot"))
        counts = int(facts["bytecode"]), int(facts["free"])
        return Inventory(release, machine, str(facts["id"]), counts[0], main, files, counts[1], boot)
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"{error!r}") from error


class Plan(NamedTuple):
    """What is to be done so that `slot` holds the wanted files and main.py starts it."""

    slot: str
    main: str
    remove: tuple[str, ...]
    drop: tuple[str, ...]
    copy: tuple[tuple[str, str], ...]
    send: tuple[str, ...]
    is_switch: bool

    @property
    def changes_files(self) -> bool:
        """Is anything in the folder to be changed?"""
        return bool(self.remove or self.drop or self.copy or self.send)


def main_text(slot: str, files: HeadFiles) -> str:
    """The board's main.py: names the folder, and says what it is."""
    return (
        f"{MARK} {version_text(files.version)}\nimport sys\n\n"
        f'sys.path.insert(0, "{slot}")\nfrom firmware.reader_head.main import main\n\nmain()\n'
    )


def in_slot(slot: str, files: HeadFiles) -> dict[str, str]:
    """The wanted files by their full names."""
    return {f"{slot}/{name}": sha256 for name, sha256 in files.hashes.items()}


def plan_for(board: Inventory, files: HeadFiles) -> Plan:
    """The folder that is whole already is taken, the running one first; else the one that is not running is filled,
    from the running one where a file is the same."""
    active = board.active
    order = [active, *(slot for slot in SLOTS if slot != active)] if active else list(SLOTS)
    whole = [slot for slot in order if _inside(board, slot) == in_slot(slot, files)]
    slot = whole[0] if whole else order[-1] if active else order[0]
    assert slot is not None
    here = _inside(board, slot)
    donors = {sha256: name for name, sha256 in board.files.items() if not name.startswith(f"{slot}/")}
    missing = {name: sha256 for name, sha256 in in_slot(slot, files).items() if here.get(name) != sha256}
    return Plan(
        slot=slot,
        main=main_text(slot, files),
        remove=tuple(sorted(set(here).difference(in_slot(slot, files)))),
        drop=(OLD_FOLDER,) if active and any(name.startswith(f"{OLD_FOLDER}/") for name in board.files) else (),
        copy=tuple((donors[sha256], name) for name, sha256 in sorted(missing.items()) if sha256 in donors),
        send=tuple(name for name, sha256 in sorted(missing.items()) if sha256 not in donors),
        is_switch=board.main != main_text(slot, files),
    )


def _inside(board: Inventory, slot: str) -> dict[str, str]:
    return {name: sha256 for name, sha256 in board.files.items() if name.startswith(f"{slot}/")}


OnLine = Callable[[str], None]


class BoardFiles:
    """One board at its prompt, by the path of its port now. Every call is one run of mpremote, and raises BoardLost for
    whatever went wrong with board or cable."""

    def __init__(self, path: str, board: str = "") -> None:
        """`board`: its id. A port's name may be another board's by now: nothing is written to one with another id."""
        self._path = path
        self._only = _ONLY % repr(board) if board else ""

    def ask(self) -> Inventory:
        """What is on it."""
        said = self._run(("exec", _HELPERS + _ASK % (repr((*SLOTS, OLD_FOLDER)), BOOT_CHARACTERS_MAX + 1)))
        try:
            return inventory_of(next(line for line in said if line.startswith(_FACTS))[len(_FACTS) :])
        except (StopIteration, ValueError) as error:
            raise BoardLost(f"it said: {_tail(said)}") from error

    def fill(self, plan: Plan, files: HeadFiles, on_line: OnLine, *, then_start: bool = False) -> None:
        """The folder gets its files and is read back on the board; `then_start`: then it runs, for its trial. Raises
        BoardFull, FileDiffers. `on_line` hears lines for `is_sending` before each file, `is_reading`, `is_starting`."""
        chain: list[Sequence[str]] = []
        if plan.changes_files:
            folders = {parent for name in in_slot(plan.slot, files) for parent in _parents(os.path.dirname(name))}
            stage = _STAGE % (repr(plan.remove), repr(plan.drop), repr(tuple(sorted(folders))), repr(plan.copy))
            chain.append(("exec", self._only + _HELPERS + stage))
            for name in plan.send:
                chain.append(("fs", "cp", str(files.folder / name[len(plan.slot) + 1 :]), f":{name}"))
        check = _CHECK % (repr(in_slot(plan.slot, files)), repr(plan.slot))
        chain.append(("exec", self._only + _HELPERS + check))
        if then_start:  # without a word in main.py; its greeting says CAUSE_TRIAL
            chain.append(("exec", f"print({_STARTING!r})"))
            chain.append(("exec", "--no-follow", _FRESH % repr(plan.slot) + _TRY % CAUSE_TRIAL))
        self._run(*chain, on_line=on_line)

    def load(self, slot: str) -> None:
        """Only loads it: for a board whose running firmware would not give the prompt back after a trial."""
        self._run(("exec", self._only + _FRESH % repr(slot) + "import firmware.reader_head.main"))

    def restart(self, plan: Plan | None = None, on_line: OnLine | None = None) -> None:
        """The board boots into what main.py names, and that is what the plan says, if there is one: a power cut before
        the renaming leaves the old main.py, whole. `on_line` hears `is_restarting` of a line when that is done.
        Whether it comes back is seen by its greeting alone: mpremote may fail after this, as the port goes."""
        switch = _HELPERS + _SWITCH % repr(plan.main) if plan is not None else ""
        last = f"import machine;machine.mem32[{SERVICE_REGISTER}]={RESTART_ASKED};print({_RESTARTING!r})"
        self._run(("exec", f"{self._only}{switch}\n{last}"), ("reset",), on_line=on_line, enough=_RESTARTING)

    def restart_unmarked(self) -> None:
        """The same for a board that may be no head at all: no register of it is touched."""
        self._run(("reset",))

    def _run(self, *chain: Sequence[str], on_line: OnLine | None = None, enough: str = "") -> list[str]:
        words = [word for command in chain for word in ("+", *command)][1:]
        process = subprocess.Popen(
            [sys.executable, "-m", "mpremote", "connect", self._path, "resume", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            text=True,
            errors="replace",
        )
        ending = Timer(MPREMOTE_S_MAX, process.kill)
        ending.daemon = True
        ending.start()
        said: list[str] = []
        try:
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line.rstrip("\r\n"))
                if on_line is not None:
                    on_line(said[-1])
            process.wait()
        finally:
            ending.cancel()
            process.kill()
            process.communicate()
        if process.returncode and not (enough and enough in said):
            raise _refusal_of(said)
        return said


def is_reading(line: str) -> bool:
    """Does the board begin to read its files back?"""
    return line.startswith(_READING)


def is_starting(line: str) -> bool:
    """Is the new firmware about to be started for its trial?"""
    return line == _STARTING


def is_restarting(line: str) -> bool:
    """Is main.py as it shall be, and the board about to restart?"""
    return line == _RESTARTING


def is_sending(line: str) -> bool:
    """Is the next file on its way?"""
    return line.startswith("cp ")


def _parents(folder: str) -> list[str]:
    parts = folder.strip("/").split("/")
    return ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]


def _refusal_of(said: list[str]) -> BoardFull | FileDiffers | BoardLost:
    for line in said:
        if line.startswith(_DIFFERS):
            return FileDiffers(line[len(_DIFFERS) :])
        if any(word in line for word in _FULL):
            return BoardFull(f"it said: {line}")
    return BoardLost(f"it said: {_tail(said)}")


def _tail(said: list[str]) -> str:
    return " / ".join(line for line in said if line.strip())[-SAID_CHARACTERS_MAX:]
