"""`kgo-city rotate`, `keys` and `trust` as an operator meets them: what is refused, what is left. DESIGN §4."""

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from offline_ledger.city import bulletins, cli_keys, trust, trust_copies
from offline_ledger.city.console import Console
from offline_ledger.city.keys import make_next_key_file
from offline_ledger.city.log import Checkpoint, leaf_data, write_checkpoint
from offline_ledger.city.settings import read_city_settings
from offline_ledger.city.store import Store
from offline_ledger.city.trust import Changes
from offline_ledger.errors import TrustListOvertaken
from offline_ledger.key_files import KeySigner, open_key_file
from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.city import KeyRole
from offline_ledger.protocol.device import StateKey
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.sync_leaves import leaves_text
from offline_ledger.texts import Texts
from simulators.demo.processes import wait_until
from tests.city_service.desk import found, run, serving


class Office:
    """A founded city that nobody serves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def do(self, *words: str, language: str = "en") -> CompletedProcess[str]:
        return run(*words, "--settings", str(self.folder / "city.toml"), "--language", language)

    def roots(self, *numbers: int) -> list[str]:
        return [word for number in numbers for word in ("--root", str(self.folder / "keys" / f"root-{number}.key"))]

    def keys(self, role: str) -> list[dict[str, Any]]:
        return [one for one in json.loads(self.do("keys", "--json").stdout) if one["role"] == role]

    def versions(self) -> int:
        store = Store.open(self.folder / "ledger.db")
        with closing(store):
            held = trust.newest(store)
        assert held is not None
        return held.trust_list.version

    def add_device(self, name: str, state: dict[int, object]) -> None:
        """A device that was here a moment ago."""
        now_s = int(time.time())
        with closing(sqlite3.connect(self.folder / "ledger.db")) as ledger, ledger:
            ledger.execute(
                "REPLACE INTO devices(device, role, owner, point, certificate, not_before_s, expires_at_s,"
                " offline_value_kgo, offline_hours, enrolled_at_s, last_seen_s, state)"
                " VALUES(?, 1, 'noodle-1', ?, x'00', 0, ?, 0, 24, 1, ?, ?)",
                (name, name.encode(), now_s + 10**6, now_s, cbor.encode(state)),
            )


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    found(tmp_path / "city-test-only")
    yield Office(tmp_path / "city-test-only")


def test_too_few_roots_change_nothing_and_leave_no_key_behind(office: Office) -> None:
    before = sorted(path.name for path in (office.folder / "keys").iterdir())
    for words in (("ack",), ("log",), ("bulletin", "--compromised")):
        for roots in ((1,), (1, 1)):
            done = office.do("rotate", *words, *office.roots(*roots))
            assert done.returncode == 1 and "3006" in done.stderr and "Traceback" not in done.stderr
    assert office.versions() == 1 and len(office.keys("ack")) == 1
    assert sorted(path.name for path in (office.folder / "keys").iterdir()) == before
    done = office.do("rotate", "ack", *office.roots(1, 3))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (office.folder / "keys").glob("ack*")) == ["ack-2.key", "ack.key"]
    assert (office.folder / "keys" / "ack-2.key").stat().st_mode & 0o777 == 0o600


def test_a_key_that_was_made_before_its_list_is_used_the_next_time(office: Office) -> None:
    """The program may have ended between the two."""
    made, _signer = make_next_key_file(office.folder / "keys", KeyRole.ACK)
    content = made.read_bytes()
    assert office.do("rotate", "ack", *office.roots(1, 2)).returncode == 0
    assert sorted(path.name for path in (office.folder / "keys").glob("ack*")) == ["ack-2.key", "ack.key"]
    assert made.name == "ack-2.key" and made.read_bytes() == content


def test_a_waiting_key_is_shown_with_whom_it_waits_for_and_no_second_one_is_made(office: Office) -> None:
    office.add_device("bus-1", {int(StateKey.TRUST_LIST_VERSION): 1})
    office.add_device("bus-2", {int(StateKey.TRUST_LIST_VERSION): 2})
    assert "waiting for 1 devices" in office.do("rotate", "issuer", *office.roots(1, 2)).stdout
    old, new = office.keys("issuer")
    assert (old["state"], old["waits_for"]) == ("signs", [])
    assert (new["state"], [one["device"] for one in new["waits_for"]]) == ("waits", ["bus-1"])
    assert (old["file"], new["file"], old["since_version"], new["since_version"]) == (
        "issuer.key",
        "issuer-2.key",
        1,
        2,
    )
    table = office.do("keys").stdout
    assert "bus-1" in table and "bus-2" not in table and new["key_id"] in table
    assert "รออยู่" in office.do("keys", language="th").stdout
    again = office.do("rotate", "issuer", *office.roots(1, 2))
    assert again.returncode == 1 and "4091" in again.stderr
    assert office.do("rotate", "bulletin", *office.roots(1, 2)).returncode == 0, "another role has its own"
    left = office.do("rotate", "issuer", "--compromised", *office.roots(2, 3))
    assert left.returncode == 0 and "signs from now on" in left.stdout
    assert [key["state"] for key in office.keys("issuer")] == ["compromised", "compromised", "signs"]


def test_nothing_is_signed_that_a_terminal_in_service_cannot_read(office: Office, tmp_path: Path) -> None:
    office.add_device("bus-new", {int(StateKey.TRUST_LIST_VERSION): 1, int(StateKey.OBJECT_VERSIONS): [2]})
    campaign = tmp_path / "campaign.json"
    campaign.write_text('{"campaigns": []}', encoding="utf-8")
    for words in (
        ("rotate", "ack", *office.roots(1, 2)),
        ("trust", *office.roots(1, 2)),
        ("publish", "campaign", str(campaign)),
    ):
        done = office.do(*words)
        assert done.returncode == 1 and "1013" in done.stderr and "bus-new" in done.stderr, (words, done.stderr)
    assert office.versions() == 1
    office.add_device("bus-new", {int(StateKey.TRUST_LIST_VERSION): 1, int(StateKey.OBJECT_VERSIONS): [1, 2]})
    assert office.do("trust", *office.roots(1, 2)).returncode == 0


def test_commands_sign_with_the_key_in_force(office: Office) -> None:
    assert office.do("rotate", "bulletin", "--compromised", *office.roots(1, 2)).returncode == 0
    (office.folder / "keys" / "bulletin.key").unlink()
    campaign = office.folder / "campaign.json"
    campaign.write_text('{"campaigns": []}', encoding="utf-8")
    done = office.do("publish", "campaign", str(campaign))
    assert done.returncode == 0, done.stderr
    (office.folder / "keys" / "bulletin-2.key").unlink()
    done = office.do("publish", "campaign", str(campaign))
    assert done.returncode == 1 and "5002" in done.stderr and "Traceback" not in done.stderr


def test_bulletins_that_a_restore_brings_back_by_a_leaked_key_are_signed_again(office: Office, tmp_path: Path) -> None:
    """No terminal takes a tariff that the leaked key signed: a new one would have no fares at all."""
    copy = str(tmp_path / "copy.db")
    assert office.do("backup", copy).returncode == 0
    assert office.do("rotate", "bulletin", "--compromised", *office.roots(1, 2)).returncode == 0
    assert office.do("restore", copy).returncode == 0
    aad = cose.external_aad(Kind.BULLETIN, "TH-40")
    with serving(office.folder) as city:
        leaked = next(bytes.fromhex(key["key_id"]) for key in office.keys("bulletin") if key["state"] == "compromised")

        raws = list[bytes]()

        def signers() -> set[bytes]:
            raws[:] = city.ask("GET", "/v1/bulletins").value
            return {cose.parse_sign1(raw, aad, CITY_OBJECT_BYTES_MAX).key_id for raw in raws}

        wait_until(lambda: leaked not in signers(), "all to be signed again", step_s=0.1)
        assert len(signers()) == 1 and len(raws) == 3
    assert "housekeeping" not in (office.folder.parent / f"{office.folder.name}.log").read_text()
    with closing(Store.open(office.folder / "ledger.db")) as store:  # and not once more each minute
        assert not bulletins.is_signed_by(store, frozenset((leaked,)), int(time.time()))


def test_a_restored_ledger_takes_back_what_the_roots_signed(office: Office, tmp_path: Path) -> None:
    office.add_device("bus-1", {int(StateKey.TRUST_LIST_VERSION): 1})
    assert office.do("trust", *office.roots(1, 2)).returncode == 0
    shutil.copyfile(office.folder / "ledger.db", tmp_path / "backup.db")
    assert office.do("rotate", "ack", "--compromised", *office.roots(1, 2)).returncode == 0
    assert office.do("trust", *office.roots(1, 2), "--revoke", "bus-1=7").returncode == 0
    copies = sorted(path.name for path in (office.folder / "trust-lists").iterdir())
    assert copies == ["1.list", "2.list", "3.list", "4.list"]
    for path in office.folder.glob("ledger.db*"):
        path.unlink()
    shutil.copyfile(tmp_path / "backup.db", office.folder / "ledger.db")
    assert office.versions() == 2, "this is what the backup knows"
    with serving(office.folder) as city:
        lists = city.ask("GET", "/v1/trust-lists?after=0").value
        assert len(lists) == 4
        city.stop()
    assert [key["state"] for key in office.keys("ack")] == ["compromised", "signs"], (
        "the leaked key signs nothing again"
    )
    with closing(sqlite3.connect(office.folder / "ledger.db")) as ledger:
        assert ledger.execute("SELECT revoked_after FROM devices").fetchall() == [(7,)]
    assert "5 is in force" in office.do("trust", *office.roots(1, 2)).stdout


def test_recover_names_the_missing_leaves_and_only_devices_that_were_not_heard(office: Office, tmp_path: Path) -> None:
    for name in ("bus-8", "bus-9", "shop-1"):
        office.add_device(name, {})
    write_checkpoint(office.folder / "checkpoint", Checkpoint(40, bytes(32)))
    wanted = [*range(2, 9), 12, *range(14, 31)]  # not: 0, 1, 9 to 11, 13, 31 to 39
    names = {at: "bus-8" if at < 20 else "shop-9" for at in wanted}  # shop-9: enrolled after the backup
    files: list[str] = []
    for name in ("bus-8", "shop-9"):
        held = {at: leaf_data(name, at + 1, bytes(32), 1, 0) for at in wanted if names[at] == name}
        files += ["--leaves", str(tmp_path / f"{name}.leaves")]
        Path(files[-1]).write_text(leaves_text(held))
    done = office.do("recover", *files)
    assert done.returncode == 1
    assert "lacks 15 leaves" in done.stderr and ": 0-1, 9-11, 13, 31-39;" in done.stderr, done.stderr
    collect = [line.split()[-1] for line in done.stderr.splitlines() if "collect leaves from" in line]
    assert collect == ["bus-9", "shop-1"]
    assert "enrolled after the backup" in done.stderr and "31-39" in office.do("recover", *files, language="th").stderr
    many = {at: leaf_data("bus-8", at + 1, bytes(32), 1, 0) for at in range(0, 40, 2)}
    write_checkpoint(office.folder / "checkpoint", Checkpoint(100, bytes(32)))
    Path(files[1]).write_text(leaves_text(many))
    assert ": 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, …;" in office.do("recover", *files[:2]).stderr
    gap = office.do("recover", *files[:2], "--new-log", *office.roots(1, 2))
    assert gap.returncode == 0 and "1, 3, 5" in gap.stderr and "section 8" in gap.stderr, gap.stderr


def test_a_copy_that_the_roots_did_not_sign_is_refused(office: Office) -> None:
    assert office.do("keys").returncode == 0
    first = (office.folder / "trust-lists" / "1.list").read_bytes()
    for forged in (first, first[:-1] + bytes([first[-1] ^ 1]), b"no list"):
        (office.folder / "trust-lists" / "2.list").write_bytes(forged)
        done = office.do("keys")
        assert done.returncode == 1 and "3006" in done.stderr and "2.list" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr and office.versions() == 1
    (office.folder / "trust-lists" / "2.list").unlink()
    assert office.do("trust", *office.roots(1, 2)).returncode == 0


def test_of_two_next_lists_at_once_the_second_is_told_so(office: Office) -> None:
    """The other command ends while this one signs."""
    signers = [open_key_file(office.folder / "keys" / f"root-{number}.key") for number in (1, 2)]

    class SlowRoot(KeySigner):
        def __init__(self) -> None:
            self._first = signers[0]

        @property
        def point(self) -> bytes:
            return self._first.point

        def sign(self, message: bytes) -> bytes:
            assert office.do("trust", *office.roots(1, 3)).returncode == 0
            return self._first.sign(message)

    settings = read_city_settings(office.folder / "city.toml", "en")
    console = Console(Texts("en"), print, print, lambda: int(time.time()), Limits(), settings, lambda: 0)
    with closing(Store.open(office.folder / "ledger.db")) as store, pytest.raises(TrustListOvertaken):
        cli_keys.add_next_list(console, store, Changes(), [SlowRoot(), signers[1]], int(time.time()))
    assert office.versions() == 2
    assert "again" in Texts("en").remedy(TrustListOvertaken)


def opened_by_a_reader(pipe: Path, ends: list[int]) -> bool:
    """Our end of the pipe, once somebody reads at the other."""
    with suppress(OSError):  # ENXIO: nobody yet
        ends.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    return bool(ends)


def test_a_copy_of_a_list_that_is_just_being_added_is_no_broken_chain(office: Office) -> None:
    """A pipe in the copy's place: it is read after the ledger was looked at, and before the other command has ended."""
    assert office.do("keys").returncode == 0
    folder = office.folder / "trust-lists"
    os.mkfifo(folder / "2.list")
    database = office.folder / "ledger.db"
    with ThreadPoolExecutor(1) as pool, closing(Store.open(database)) as store:
        held = trust.newest(store)
        assert held is not None
        roots = [open_key_file(office.folder / "keys" / f"root-{number}.key") for number in (1, 2)]
        raw = trust.sign_list(trust.next_list(held, Changes(), int(time.time())), roots)

        def look() -> int:
            with closing(Store.open(database)) as mine:
                return trust_copies.agree(mine, folder)

        looking = pool.submit(look)
        ends = list[int]()
        wait_until(lambda: looking.done() or opened_by_a_reader(folder / "2.list", ends), "it reads the copy")
        assert ends, "it never looked"
        trust.add_list(store, raw)
        with open(ends[0], "wb") as copy:
            copy.write(raw)
        assert looking.result(timeout=30) == 0
    assert office.versions() == 2


def test_a_lost_key_file_stops_signing_and_is_replaced_at_once(office: Office) -> None:
    (office.folder / "keys" / "log.key").unlink()
    done = office.do("serve")
    assert done.returncode == 1 and "5002" in done.stderr and "Traceback" not in done.stderr
    assert office.do("rotate", "log", "--compromised", *office.roots(1, 2)).returncode == 0
    assert (office.folder / "keys" / "log-2.key").exists() and not (office.folder / "keys" / "log.key").exists()
    with serving(office.folder) as city:
        assert city.ask("GET", "/v1/checkpoint").status == 200


def test_a_leaked_device_ca_is_closed_and_the_words_say_so(office: Office) -> None:
    left = office.do("rotate", "device-ca", "--compromised", *office.roots(1, 2))
    assert left.returncode == 0 and "The old one is closed" in left.stdout and "counts no more" not in left.stdout


def test_a_revocation_is_never_moved_to_a_later_number(office: Office) -> None:
    office.add_device("pos-9", {})
    with closing(sqlite3.connect(office.folder / "ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE devices SET through_sequence = 9 WHERE device = 'pos-9'")

    def revoke(sequence: int) -> CompletedProcess[str]:
        return office.do("trust", *office.roots(1, 2), "--revoke", f"pos-9={sequence}")

    first = revoke(9)
    assert first.returncode == 0 and "from number 10 on waits" in first.stdout, first.stdout + first.stderr
    one = revoke(8)
    assert one.returncode == 0 and "number 9 had come before" in one.stdout, one.stdout
    earlier = revoke(3)
    assert earlier.returncode == 0 and "numbers 4 to 9 had come before" in earlier.stdout, earlier.stdout
    version = office.versions()
    later = revoke(99_999)
    assert later.returncode == 1 and "4094" in later.stderr and "revoked after 3" in later.stderr, later.stderr
    assert office.versions() == version and revoke(3).returncode == 0
