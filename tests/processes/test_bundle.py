"""`diagnose --bundle`: what a technician sends away has the terminal's state, and no key and no customer in it."""

import hashlib
import io
import json
import re
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import StorageFull
from offline_ledger.terminal.bundle.bundle import bundle, known_refusals
from offline_ledger.terminal.bundle.log_lines import KEPT, LEFT_OUT, without_customers
from offline_ledger.terminal.bundle.machine import machine_facts
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.program import Place, read_terminal_settings
from offline_ledger.texts import Texts
from simulators.demo.processes import PYTHON
from simulators.sample_town import CREW_LIST
from tests.processes.driven_bus import sign_files
from tests.processes.lone_bus import LoneBus, lone_bus, rider, started_bus
from tests.sticks import KINDS, mounted_stick
from tests.terminal.provisioned import DEVICE, provision_bus
from tests.terminal.selftest.bus_bench import KGO_BUS

TOOL_S_MAX = 30
FULL = f"{StorageFull.number} {Texts('th').title(StorageFull)}"


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[LoneBus]:
    with started_bus(tmp_path) as made:
        yield made


def bundled(bus: LoneBus, file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*PYTHON, "bus_validator", "--settings", str(bus.settings), "diagnose", "--bundle", str(file), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=TOOL_S_MAX, check=False)


def members(file: Path) -> dict[str, str]:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_it_has_the_state_and_neither_keys_nor_customers(bus: LoneBus, tmp_path: Path) -> None:
    passenger = rider(5)
    light = bus.tap(passenger)
    assert light["light"] == "accepted_cash_due"
    log = tmp_path / "kgo-bus.log"
    log.write_text(
        f"{json.dumps(light)}\nTraceback (most recent call last):\n"
        '  File "/opt/kgo/x.py", line 3, in run\n    pay(somchai)\nValueError: wallet of Somchai\n'
        f"{FULL}\n  (somchai)\n"
    )
    out = tmp_path / "bundle.zip"
    done = bundled(bus, out, "--log", str(log))
    assert done.returncode == 0, done.stderr
    assert out.stat().st_mode & 0o077 == 0 and str(out) in done.stdout
    found = members(out)
    parts = {part["part"]: part for part in json.loads(found["diagnose.json"])["parts"]}
    assert parts["journal"]["facts"]["sequence"] == 1
    assert "✓" in found["diagnose.txt"]
    assert json.loads(found["versions.json"])["packages"]["apsw"]
    assert json.loads(found["settings.json"])["device.id"] == parts["program"]["facts"]["device"]
    assert json.loads(found["machine.json"])["disks"]
    said = json.loads(found["bundle.json"])
    assert said["sha256"] == {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in found.items() if name != "bundle.json"
    }
    lines = found["log-0.txt"].splitlines()
    assert (
        json.loads(lines[1])["light"] == "accepted_cash_due" and '"kgo"' not in lines[1] and "sequence" not in lines[1]
    )
    assert lines[2:] == [
        LEFT_OUT,
        'File "/opt/kgo/x.py", line 3, in run',
        LEFT_OUT,
        "ValueError",
        FULL,
        LEFT_OUT,
    ]
    whole = "".join(found.values())
    secrets = [
        *key_lines(tmp_path),
        passenger.allowance.raw.hex(),
        (5).to_bytes(8, "big").hex(),
        passenger.code(1)[:40],
        "omchai",
    ]
    assert [secret for secret in secrets if secret in whole] == []


def key_lines(folder: Path) -> list[str]:
    """Every line of every private key in the terminal's folder."""
    held = [path.read_text() for path in folder.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert held, "the terminal has a key"
    return [line for text in held for line in text.splitlines() if len(line) > 40]


def test_nothing_that_is_planted_comes_out(tmp_path: Path) -> None:
    """A word of its own in every place that a terminal has: files, settings, each field of the log."""
    planted: list[str] = []

    def canary(of: str) -> str:
        planted.append(f"zq{len(planted)}{of}")
        return planted[-1]

    settings = provision_bus(tmp_path, int(time.time()), tmp_path / "no")
    sign_files(tmp_path)
    with (tmp_path / "device.key").open() as key, settings.open("a") as more:
        planted += [line for line in key.read().splitlines() if len(line) > 40]
        command = f"ffmpeg -i rtsp://guard:{canary('camera')}@10.0.0.9/1"
        more.write(f'[camera]\naddress = "exec:{command}"\n[trip]\nroutes_file = "routes.kgo"\n')
        more.write('crew_file = "crew.kgo"\n[key]\npin_file = "token.pin"\n')
    for name in ("token.pin", "wifi.nmconnection", "ca.key", "city-ca.pem", "shop.db", "companion.codes"):
        (tmp_path / name).write_text(f"psk={canary(name)}\n")
    with Journal.open(tmp_path / "journal.db", device_id=DEVICE) as journal:
        journal.meta_put("canary", canary("journal").encode())
    fields = [*KEPT, "remedy_th", "line_en", "detail", "facts", "driver", "who", "sale", "pass", "name", "code"]
    lines = [{field: canary(field) for field in fields}]
    lines += [{field: value(canary(field))} for field in fields for value in (str, list, lambda one: {one: one})]
    lines += [{"city_said": f"HTTP 403, 3008 '{canary('said')}'"}, {"waiting": 1_100_012_345_678}, {"refusal": 1}]
    planted.append("1100012345678")
    text = "\n".join(json.dumps(line) for line in lines)
    loose = "\n".join(
        [canary("plain"), f"{FULL} {canary('full')}", f"  {canary('detail')}", f"ValueError: {canary('e')}"]
    )
    log = tmp_path / "kgo.log"
    log.write_text(f"{text}\n{loose}\n")
    place = Place(KGO_BUS, read_terminal_settings(KGO_BUS, settings), settings)
    with zipfile.ZipFile(io.BytesIO(bundle(place, Texts("th"), int(time.time()), [log]))) as archive:
        whole = "".join(archive.namelist()) + "".join(archive.read(name).decode() for name in archive.namelist())
    crew = [line.split(",") for line in CREW_LIST.read_text("utf-8").splitlines()[1:]]
    planted += [person[1] for person in crew]
    assert not {person[2] for person in crew} & set(re.findall(r"\w+", whole)), "a driver's PIN"
    assert len(planted) > 100 and "exec:ffmpeg" in whole and FULL not in planted
    assert [one for one in planted if one in whole] == []


@pytest.mark.parametrize("kind", KINDS)
def test_it_lands_on_a_stick_also_when_no_program_runs(tmp_path: Path, kind: str) -> None:
    with lone_bus(tmp_path) as bus, mounted_stick(kind, tmp_path) as stick:
        out = stick / "bundle.zip"
        done = bundled(bus, out)
        assert done.returncode == 0, done.stderr
        found = members(out)
        said = json.loads(found["diagnose.json"])
        assert said["parts"] == [] and said["trouble"].startswith("6034 ")
        assert found["log-0.txt"].startswith("# journalctl")
        again = bundled(bus, out)
        assert again.returncode == 1 and again.stderr.startswith("5010 ")
        missing = bundled(bus, stick / "other.zip", "--log", str(tmp_path / "no.log"))
        assert missing.returncode == 1 and not (stick / "other.zip").exists()


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ('{"light": "accepted", "kgo": 5000, "sequence": 7, "sale": "x"}', '{"light": "accepted"}'),
        ('{"light": {"pass": "a1"}, "waiting": 3}', '{"waiting": 3}'),
        ('{"boarding": "a1"}', LEFT_OUT),
        ('{"light": "acc', LEFT_OUT),
        ("[" * 100_000, LEFT_OUT),
        ("{" * 100_000, LEFT_OUT),
        ("[1]", LEFT_OUT),
        ("KGO1P:ABC", LEFT_OUT),
        ("kgo-bus.service: Main process exited, code=killed", "kgo-bus.service: Main process exited, code=killed"),
        ("", LEFT_OUT),
        (FULL, FULL),
        (f"{FULL} somchai", LEFT_OUT),
        ('{"refusal": 5010, "key": "file_taken"}', '{"refusal": 5010, "key": "file_taken"}'),
        ('{"refusal": 4, "key": "somchai", "waiting": 2}', '{"waiting": 2}'),
        ('{"title_th": "สมชาย", "title_en": "Somchai", "trouble": "sync"}', '{"trouble": "sync"}'),
        (
            json.dumps({"title_th": FULL[5:]}, ensure_ascii=False),
            json.dumps({"title_th": FULL[5:]}, ensure_ascii=False),
        ),
        ('{"city_said": "HTTP 404, 3008 \'city_refused\'"}', '{"city_said": "HTTP 404, 3008 \'city_refused\'"}'),
        ('{"city_said": "HTTP 404, 3008 \'somchai\'"}', LEFT_OUT),
        ("1234 KGO paid by card of Somchai", LEFT_OUT),
        ("Started session of driver Somchai.", LEFT_OUT),
        ("Started kgo-bus.service - KGO bus validator.", "Started kgo-bus.service - KGO bus validator."),
        ("OSError", "OSError"),
        ("offline_ledger.errors.StorageFull: /var/lib/kgo/somchai", LEFT_OUT),
    ],
)
def test_of_a_line_only_what_is_named_stays(line: str, kept: str) -> None:
    assert without_customers(line, known_refusals()) == kept


def test_a_pi_tells_model_card_and_heat(tmp_path: Path) -> None:
    for name, text in {
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
        "proc/meminfo": "MemTotal:  1893 kB\nMemFree: 7 kB\nMemAvailable: 900 kB\n",
        "sys/block/mmcblk0/device/life_time": "0x01 0x02\n",
        "sys/class/thermal/thermal_zone0/temp": "48312\n",
        "dev/serial/by-id/usb-head": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = machine_facts([tmp_path, tmp_path / "gone"], tmp_path)
    assert found["model"] == "Raspberry Pi 4 Model B Rev 1.5"
    assert found["memory"] == {"MemTotal": "1893 kB", "MemAvailable": "900 kB"}
    assert found["card_life_time"] == {"sys/block/mmcblk0/device/life_time": "0x01 0x02"}
    assert found["heat_thousandth_celsius"] == {"sys/class/thermal/thermal_zone0/temp": "48312"}
    assert found["ports"] == ["dev/serial/by-id/usb-head"]
    assert "error" in found["disks"][str(tmp_path / "gone")]  # type: ignore[index]
