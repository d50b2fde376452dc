"""`kgo-sim demo`: sets the town up, tells the story, lets the reader judge, prints the table. DESIGN §3.

Exit code 0 only if every promise was kept; 2 when the folder named is not the demo's to empty. Everything it made
stays under `build/demo/`.
"""

import fcntl
import json
import shutil
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import NamedTuple

from offline_ledger.protocol.wallet import Concession
from offline_ledger.texts import Texts
from simulators.demo.desk import BUS, SHOP, Reader
from simulators.demo.processes import DeadlinePassed, ToolFailed
from simulators.demo.reader import Figures, broken_promises, read_figures
from simulators.demo.story import Story, Told
from simulators.demo.table import promises_table, sales_table
from simulators.demo.town import Town

STORY_S_MAX = 60
"""Under this many seconds from the first process to the last figure, once everything is set up."""
USAGE = 2
MARKER = ".made-by-kgo-sim-demo"
"""A folder with this file in it is the demo's own: the next run may empty it."""
SHOP_ID, BUS_ID = "shop-001", "bus-008"
PEOPLE = (
    ("Mali", Concession.ADULT),
    ("Somchai", Concession.ADULT),
    ("Nok", Concession.STUDENT),
    ("Boonmi", Concession.SENIOR),
    ("Lek", Concession.ADULT),
)
"""The last one cheats."""


class End(NamedTuple):
    """What `demo.json` says beside the seed and the counts."""

    audit_ok: bool
    seconds: float
    broken: tuple[str, ...]


class FolderNotOurs(Exception):
    """Something lies there that no demo made."""


class FolderInUse(Exception):
    """Another run has the folder."""


def run(folder: Path, seed: int, figures: Path, texts: Texts) -> int:
    """The whole demo in `folder`, its figures in the file `figures`. Returns the exit code."""
    try:
        check_ours(folder)
        with alone(folder):
            empty(folder)
            print(f"seed {seed}   (ทำซ้ำ · again: make demo ARGS='--seed {seed}')", flush=True)
            with Town(folder, seed) as town:
                return _run(town, seed, figures)
    except FolderNotOurs as trouble:
        print(texts.get("demo.folder_not_ours", folder=trouble), file=sys.stderr)
        return USAGE
    except FolderInUse as trouble:
        print(texts.get("demo.folder_in_use", folder=trouble), file=sys.stderr)
        return USAGE
    except (DeadlinePassed, ToolFailed, OSError) as trouble:
        print(f"\nการสาธิตไม่สำเร็จ · DEMO FAILED: {trouble}", file=sys.stderr)
        print(f"บันทึกอยู่ที่ · logs are under {folder}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nหยุดแล้ว ทุกโปรแกรมจบแล้ว · stopped; every process of the demo has ended", file=sys.stderr)
        return 130


def check_ours(folder: Path) -> None:
    """Raises FolderNotOurs for what may not be emptied; nothing is touched."""
    marker = folder / MARKER
    if folder.exists() and not (folder.is_dir() and (marker.is_file() or not any(folder.iterdir()))):
        raise FolderNotOurs(str(folder))


def empty(folder: Path) -> None:
    """Leaves the folder with nothing but the marker in it. Raises FolderNotOurs; then nothing was touched."""
    check_ours(folder)
    marker = folder / MARKER
    folder.mkdir(parents=True, exist_ok=True)
    marker.touch()
    for found in folder.iterdir():
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found)
        elif found != marker:
            found.unlink()


@contextmanager
def alone(folder: Path) -> Generator[None]:
    """Two runs in one folder would take each other's files away. Raises FolderInUse at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderInUse(str(folder)) from error
        yield


def _run(town: Town, seed: int, path: Path) -> int:
    began_s = time.monotonic()
    story = _tell_story(town, seed)
    audit = town.city.audit()
    badly_ended = town.stop_all()
    figures = read_figures(town.journals(), town.city.ledger, town.folder / "reader", story.told.greens)
    seconds = round(time.monotonic() - began_s, 1)
    broken = judge_run(figures, story.told, audit=audit, badly_ended=badly_ended, seconds=seconds)
    end = End(audit[0], seconds, tuple(broken))
    result = {"seed": seed} | _counts(figures) | end._asdict()
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _print_end(figures, story.told, end, path)
    return 1 if broken else 0


def judge_run(
    figures: Figures, told: Told, *, audit: tuple[bool, str], badly_ended: list[str], seconds: float
) -> list[str]:
    """All that broke, in words; empty when every promise was kept. `audit`: whether it passed, and what it said."""
    audit_ok, audit_said = audit
    broken = broken_promises(figures, audit_ok=audit_ok, cheats=told.cheats)
    broken += told.wrong_lights + badly_ended + _plan_kept(figures, told)
    if not audit_ok:
        broken.append(f"kgo-city audit said: {audit_said.strip()[:500]}")
    if seconds >= STORY_S_MAX:
        broken.append(f"it took {seconds} s, not under {STORY_S_MAX}")
    return broken


def _tell_story(town: Town, seed: int) -> Story:
    _say("เมืองเปิดบัญชี เครื่องลงทะเบียน ผู้คนรับวงเงิน", "The city opens; terminals enrol; five people take allowances")
    town.found()
    shop = town.add_desk(SHOP, SHOP_ID, "coffee-1")
    bus = town.add_desk(BUS, BUS_ID, "city-bus")
    town.add_people(PEOPLE)
    town.wait_synced()
    story = Story(town, shop, bus, Random(seed), lambda line: print(line, flush=True))
    _say("เครือข่ายขาด", "The network is cut")
    story.cut_network()
    story.day()
    _say("มีคนใช้เงินก้อนเดียวกันสองที่", "Somebody spends the same money at both places")
    story.cheat()
    _say("เครือข่ายกลับมา", "The network returns; everything is sent")
    story.network_returns()
    _say("คนโกงกลับมาอีก", "The cheat comes again")
    story.cheat_comes_back()
    return story


def _say(thai: str, english: str) -> None:
    print(f"\n{thai} · {english}", flush=True)


def _plan_kept(figures: Figures, told: Told) -> list[str]:
    """The story itself must have happened: 40 charged codes, half by each reader at each terminal, the refusals."""
    broken: list[str] = []
    planned = 40
    if figures.accepted != planned:
        broken.append(f"{planned} codes were to be charged, {figures.accepted} were")
    for device in (SHOP_ID, BUS_ID):
        counts = {reader: told.by_reader.get((device, reader), 0) for reader in Reader}
        if set(counts.values()) != {planned // 4}:
            broken.append(f"{device} read {counts[Reader.SERIAL]} by serial and {counts[Reader.CAMERA]} by camera")
    if figures.refused < told.refusals:
        broken.append(f"{told.refusals} codes were refused, the journals know of {figures.refused}")
    return broken


def _counts(figures: Figures) -> dict[str, object]:
    """Those of the whole town; what each terminal has stands in its journal."""
    return {name: count for name, count in asdict(figures).items() if name not in ("terminals", "faults")}


def _print_end(figures: Figures, told: Told, end: End, path: Path) -> None:
    names = {SHOP_ID: f"{SHOP.thai} {SHOP.english}", BUS_ID: f"{BUS.thai} {BUS.english}"}
    print("\n" + sales_table(figures, names))
    print("\n" + promises_table(figures, audit_ok=end.audit_ok))
    if told.kill is not None:
        print(f"\nไฟดับหนึ่งครั้ง · One power cut\n  {told.kill.thai}\n  {told.kill.english}")
    print(f"{end.seconds} วินาที · s; ตัวเลขอยู่ใน · figures in {path}")
    for fault in end.broken:
        print(f"ผิดสัญญา · BROKEN: {fault}", file=sys.stderr)
    if not end.broken:
        print("ทุกคำสัญญาเป็นจริง · Every promise was kept.")
