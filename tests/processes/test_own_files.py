"""Files that vanish or turn unreadable under a real validator, at its start and while it runs. DESIGN §4, §6.

Each has its own refusal with a remedy; a running program goes on with what it has in memory, and what it has accepted
stays. The journal's own loss is in `tests/terminal/test_journal_mark.py`.
"""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from offline_ledger.errors import (
    CaFileLost,
    CertificateLost,
    DenyListLost,
    DeviceCertificateInvalid,
    KeyFileUnsafe,
    KeyLost,
    MustReconnect,
    Refusal,
    SettingsLost,
    TrustListLost,
)
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.deny_list import encode_ids, list_sum
from offline_ledger.terminal.signers.key_file import open_key_file
from simulators.demo.processes import PYTHON, wait_until
from tests.processes.lone_bus import LoneBus, lone_bus, rider
from tests.terminal.city_in_test import CityInTest, DeviceInTest, bulletin
from tests.terminal.https_city import HttpsCity, make_authority, server_context
from tests.terminal.provisioned import DENIED_IDS, DEVICE

RUN_S_MAX = 30
GREEN = "accepted_cash_due"


def remove(path: Path) -> None:
    path.unlink()


def make_folder(path: Path) -> None:
    """Unreadable for everybody, root too."""
    path.unlink()
    path.mkdir()


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def fill(path: Path) -> None:
    path.write_bytes(b"rubbish" * 20)


def make_large(path: Path) -> None:
    path.write_bytes(bytes(100_000))


def make_public(path: Path) -> None:
    path.chmod(0o644)


def make_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.touch()


AT_START: dict[str, tuple[str, Callable[[Path], None], type[Refusal]]] = {
    "key gone": ("device.key", remove, KeyLost),
    "key unreadable": ("device.key", make_folder, KeyFileUnsafe),
    "key public": ("device.key", make_public, KeyFileUnsafe),
    "certificate gone": ("device.cert", remove, CertificateLost),
    "certificate unreadable": ("device.cert", make_folder, CertificateLost),
    "certificate damaged": ("device.cert", spoil, DeviceCertificateInvalid),
    "certificate of rubbish": ("device.cert", fill, CertificateLost),
    "trust list of rubbish": ("trust.list", fill, TrustListLost),
    "certificate too large": ("device.cert", make_large, CertificateLost),
    "trust list gone": ("trust.list", remove, TrustListLost),
    "trust list unreadable": ("trust.list", make_folder, TrustListLost),
    "trust list damaged": ("trust.list", spoil, TrustListLost),
    "deny list no folder": ("deny", make_file, DenyListLost),
}


def put_away(path: Path) -> Path:
    kept = path.with_name(path.name + ".kept")
    (shutil.copytree if path.is_dir() else shutil.copy2)(path, kept)
    return kept


def put_back(path: Path, kept: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    kept.rename(path)


def run_to_end(bus: LoneBus) -> "subprocess.CompletedProcess[str]":
    command = (*PYTHON, "bus_validator", "--settings", str(bus.settings))
    return subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False, input="")


def test_at_the_start_each_has_its_own_refusal_and_nothing_is_lost(tmp_path: Path) -> None:
    with lone_bus(tmp_path) as bus:
        bus.start()
        held = rider(1)
        assert bus.tap(held)["light"] == GREEN
        assert bus.program.stop("quit") == 0
        for name, (file, do, refusal) in AT_START.items():
            kept = put_away(tmp_path / file)
            do(tmp_path / file)
            ended = run_to_end(bus)
            assert ended.returncode == (75 if refusal.waiting_helps else 1), (name, ended.stderr)
            assert ended.stderr.startswith(f"{refusal.number} ") and "Traceback" not in ended.stderr, (name, ended)
            assert len(ended.stderr.splitlines()) >= 2 and ended.stdout == ""
            put_back(tmp_path / file, kept)
        assert bus.start()["sequence"] == 1
        assert bus.tap(held)["light"] == "already_accepted"


def test_a_folder_that_lost_all_of_its_enrolment_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    with lone_bus(tmp_path) as bus:
        bus.start()
        assert bus.program.stop("quit") == 0
        for name in ("device.key", "device.cert", "trust.list"):
            (tmp_path / name).unlink()
        ended = run_to_end(bus)
        assert ended.stderr.startswith(f"{KeyLost.number} "), ended.stderr


def test_a_settings_file_that_is_gone_is_wrong_usage(tmp_path: Path) -> None:
    with lone_bus(tmp_path) as bus:
        bus.settings.unlink()
        ended = run_to_end(bus)
        assert ended.returncode == 2 and str(bus.settings) in ended.stderr and "Traceback" not in ended.stderr


WHILE_RUNNING: dict[str, tuple[str, type[Refusal]]] = {
    "bus.toml": ("settings", SettingsLost),
    "device.key": ("key", KeyLost),
    "device.cert": ("certificate", CertificateLost),
    "trust.list": ("trust_list", TrustListLost),
    "ca.pem": ("ca_file", CaFileLost),
    "deny/deny_list": ("deny_list", DenyListLost),
}
WRITTEN_AGAIN = ("device.cert", "trust.list", "deny/deny_list")
"""The program's own, and public: it writes them again. The key never; settings and CA file are the technician's."""


def wait_told(bus: LoneBus, mark: int, word: str, names: set[str]) -> dict[str, int]:
    """Until each of these was told; its refusal's number (0 where it has none)."""

    def told() -> dict[str, int]:
        return {one[word]: one.get("refusal", 0) for one in bus.program.said_since(mark) if word in one}

    wait_until(lambda: names <= told().keys(), f"{word} of {names}")
    return {name: told()[name] for name in names}


def test_while_running_each_is_a_trouble_and_service_goes_on(tmp_path: Path) -> None:
    expected = {what: lost.number for what, lost in WHILE_RUNNING.values()}
    with lone_bus(tmp_path) as bus:
        bus.start()
        bus.program.wait_for(lambda said: "status" in said, 0, "the end of the first exchange")
        kept = {file: put_away(tmp_path / file) for file in WHILE_RUNNING}
        mark = bus.program.mark()
        for file in WHILE_RUNNING:
            (tmp_path / file).unlink()
        assert wait_told(bus, mark, "trouble", set(expected)) == expected
        first = next(one for one in bus.program.said_since(mark) if one.get("trouble") == "key")
        assert first["remedy_th"] and first["remedy_en"]
        assert bus.tap(rider(1))["light"] == GREEN
        _badge, troubles = bus.status()
        standing = {one["trouble"]: one["refusal"] for one in troubles}
        assert {what: standing[what] for what in ("settings", "key", "ca_file")} == {
            what: expected[what] for what in ("settings", "key", "ca_file")
        }
        bus.program.tell("sync")
        wait_told(bus, mark, "trouble_over", {WHILE_RUNNING[file][0] for file in WRITTEN_AGAIN})
        for file in WHILE_RUNNING.keys() - set(WRITTEN_AGAIN):
            put_back(tmp_path / file, kept[file])
        wait_told(bus, mark, "trouble_over", set(expected))
        bus.program.kill()
        assert bus.start()["sequence"] == 1
        told = bus.tap(rider(2))
        assert told["light"] == GREEN, told


@pytest.mark.parametrize(
    ("file", "what", "refusal"),
    [("device.key", "key", KeyFileUnsafe), ("trust.list", "trust_list", TrustListLost)],
)
def test_unreadable_is_a_trouble_too(tmp_path: Path, file: str, what: str, refusal: type[Refusal]) -> None:
    with lone_bus(tmp_path) as bus:
        bus.start()
        kept = put_away(tmp_path / file)
        mark = bus.program.mark()
        make_folder(tmp_path / file)
        assert wait_told(bus, mark, "trouble", {what}) == {what: refusal.number}
        assert bus.tap(rider(1))["light"] == GREEN
        put_back(tmp_path / file, kept)
        wait_told(bus, mark, "trouble_over", {what})


def test_a_deny_list_lost_between_two_starts_is_fetched_again_and_denies_nobody_meanwhile(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    city = CityInTest(lambda: int(time.time()))
    now_s = int(time.time())
    body: dict[int, object] = {1: list_sum(DENIED_IDS), 2: len(DENIED_IDS), 3: now_s, 4: 1, 5: b"", 6: b""}
    city.publish(
        bulletin(
            BulletinKind.DENY_LIST,
            2,
            body=body,
            issued_at_s=now_s,
            valid_from_s=now_s - 60,
            valid_until_s=now_s + 9_000,
        )
    )
    city.deny_lists[2] = encode_ids(DENIED_IDS)
    folder = tmp_path / "bus"
    folder.mkdir()
    silent = "https://127.0.0.1:9"
    with (
        HttpsCity(city, server_context(tmp_path, authority)) as server,
        lone_bus(folder, url=silent, ca_file=authority.ca_file) as bus,
    ):
        city.devices[DEVICE] = DeviceInTest(open_key_file(folder / "device.key").point)
        shutil.rmtree(folder / "deny")
        bus.start()
        told = bus.program.wait_for(lambda said: said.get("trouble") == "deny_list_in_use", 0, "the lost list")
        assert told["refusal"] == DenyListLost.number
        refused = bus.tap(rider(1))  # this terminal's fault, and it says so: not "revoked", not "your code is bad"
        assert refused["refusal"] == MustReconnect.number
        assert bus.program.stop("quit") == 0
        bus.settings.write_text(bus.settings.read_text().replace(silent, server.url))
        bus.start()
        bus.program.wait_for(lambda said: said.get("trouble_over") == "deny_list_in_use", 0, "the list again")
        wait_until(lambda: bus.tap(rider(1))["light"] == GREEN, "service again", step_s=0.2)
        assert (folder / "deny" / "deny_list").is_file()


def test_without_the_citys_ca_at_the_start_badge_and_trouble_say_so_and_stop_when_it_is_back(tmp_path: Path) -> None:
    """Not that the server's certificate were wrong (3002): nobody has seen that one."""
    with lone_bus(tmp_path) as bus:
        kept = put_away(tmp_path / "ca.pem")
        (tmp_path / "ca.pem").unlink()
        bus.start()
        badge = bus.program.wait_for(lambda said: "status" in said, 0, "the first badge")
        assert (badge["status"], badge["refusal"]) == ("attention", CaFileLost.number)
        told = wait_told(bus, 0, "trouble", {"sync", "ca_file"})
        assert set(told.values()) == {CaFileLost.number}
        assert bus.tap(rider(1))["light"] == GREEN
        mark = bus.program.mark()
        put_back(tmp_path / "ca.pem", kept)
        bus.program.tell("sync")
        wait_told(bus, mark, "trouble_over", {"ca_file"})
        bus.program.wait_for(
            lambda said: "status" in said and said.get("refusal") != CaFileLost.number, mark, "another badge"
        )
