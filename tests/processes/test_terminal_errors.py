"""Real terminal processes with wrong settings, a wrong address, a wrong certificate. DESIGN §3, §7.

Mistakes in the settings are all told at once; a link that cannot work never stops a sale, and says why.
"""

import datetime
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from offline_ledger.errors import CityCertificateWrong, CityUnreachable
from offline_ledger.money import KGO
from offline_ledger.protocol.wallet import Audience, Concession
from simulators.demo.city import free_port
from simulators.demo.desk import BUS, SHOP, Desk, Kind, Reader
from simulators.demo.processes import PYTHON
from simulators.demo.town import RIDE_CAP_KGO, Person, Town
from tests.processes.quick_city import QuickCity

THREE_MISTAKES = """[device]
city = "TH-40"
id = "shop-of-test"
language = "de"
[city]
url = "http://localhost:8443"
ca_file = "ca.pem"
[sync]
rest_s = "soon"
[scanner]
port = "scanner"
"""
RUN_S_MAX = 30


def run_program(kind: Kind, settings: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = (*PYTHON, kind.module, "--settings", str(settings), *words)
    return subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)


@pytest.mark.parametrize("kind", [SHOP, BUS], ids=["pos", "bus"])
def test_three_mistakes_are_told_at_once(tmp_path: Path, kind: Kind) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(THREE_MISTAKES, encoding="utf-8")
    ended = run_program(kind, settings)
    assert ended.returncode == 2
    assert ended.stdout == ""
    problems = ended.stderr.splitlines()
    assert len(problems) == 3, ended.stderr
    for problem, (line, name) in zip(
        problems, ((4, "device.language"), (6, "city.url"), (9, "sync.rest_s")), strict=True
    ):
        where, wrong, remedy = problem.removeprefix(f"{settings}: ").replace("; ", ": ", 1).split(": ", 2)
        assert where == f"บรรทัด {line}"
        assert name in wrong
        assert remedy


@pytest.mark.parametrize("address", ["tcp://a:b", "tcp://:8888", "rpicam-vid", "unix://x", "exec:", "exec:x 'y", ""])
def test_a_camera_address_that_cannot_be_is_a_mistake_in_its_line(tmp_path: Path, address: str) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(
        '[device]\ncity = "TH-40"\nid = "shop-of-test"\n[city]\nurl = "https://localhost:1"\nca_file = "ca.pem"\n'
        f'[camera]\naddress = "{address}"\n'
    )
    ended = run_program(SHOP, settings)
    assert ended.returncode == 2
    assert "บรรทัด 8: camera.address" in ended.stderr and len(ended.stderr.splitlines()) == 1, ended.stderr


def test_no_settings_file(tmp_path: Path) -> None:
    ended = run_program(SHOP, tmp_path / "none.toml")
    assert ended.returncode == 2
    assert str(tmp_path / "none.toml") in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_terminal_that_was_never_enrolled_says_so(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(
        '[device]\ncity = "TH-40"\nid = "shop-of-test"\n[city]\nurl = "https://localhost:1"\nca_file = "ca.pem"\n'
        '[scanner]\nport = "scanner"\n'
    )
    ended = run_program(SHOP, settings)
    assert ended.returncode == 1
    assert ended.stderr.startswith("5003 ")
    assert "Traceback" not in ended.stderr


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Iterator[Town]:
    with Town(tmp_path_factory.mktemp("town"), seed, QuickCity) as made:
        made.found()
        made.add_desk(SHOP, "shop-of-test", "coffee-1", has_camera=False)
        made.add_desk(BUS, "bus-of-test", "city-bus", has_camera=False)
        made.add_people((("Mali", Concession.ADULT),))
        made.wait_synced()
        yield made


def sell(desk: Desk, person: Person) -> None:
    """A sale or boarding that must be accepted."""
    if desk.kind is SHOP:
        desk.tell("sale 40.00 5.00", "sale")
        person.wants(Audience.SHOP, 5 * KGO)
    else:
        desk.tell("trip R8 R8-0712", "trip")
        person.wants(Audience.TRANSIT, RIDE_CAP_KGO)
    said = desk.show(person.code, Reader.SERIAL)
    assert said["light"] in ("accepted", "accepted_cash_due"), said


@pytest.mark.parametrize("device", ["shop-of-test", "bus-of-test"])
def test_a_wrong_address_stops_no_sale(town: Town, device: str) -> None:
    desk = town.desks[device]
    desk.stop()
    desk.write_settings(url=f"https://localhost:{free_port()}")
    desk.start()
    tells_why(desk, CityUnreachable.number)
    sell(desk, town.people[0])
    restored(desk)


@pytest.mark.parametrize("device", ["shop-of-test", "bus-of-test"])
def test_a_wrong_certificate_stops_no_sale(town: Town, device: str, tmp_path: Path) -> None:
    other = tmp_path / "ca-of-somebody-else.pem"
    other.write_bytes(self_signed("Somebody else (test)"))
    desk = town.desks[device]
    desk.stop()
    desk.write_settings(ca_file=other)
    desk.start()
    tells_why(desk, CityCertificateWrong.number)
    sell(desk, town.people[0])
    restored(desk)


def tells_why(desk: Desk, number: int) -> None:
    """A status line with the refusal, in both languages; it comes by itself and when asked."""
    said = desk.program.wait_for(
        lambda line: line.get("refusal") == number and "status" in line, 0, "why it is cut off"
    )
    assert said["status"] in ("offline", "attention")
    assert said["title_th"] and said["remedy_th"] and said["title_en"] and said["remedy_en"]
    assert desk.tell("status", "status")["refusal"] == number


def restored(desk: Desk) -> None:
    """With the right settings again, all that was sold meanwhile is sent."""
    assert desk.tell("status", "status")["waiting"] == 1
    desk.stop()
    desk.write_settings()
    desk.start()
    desk.wait_synced()


def self_signed(name: str) -> bytes:
    """Another CA's certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)
