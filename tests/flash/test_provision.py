"""`kgo-flash provision`: a device's request goes to the city, the answer comes back, checked and recorded. DESIGN §4.

Real programs and a real city; the key stays where it was made.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image, ImageDraw

from firmware.flash import cli_provision
from firmware.flash.__main__ import main
from firmware.flash.record import DONE, FAILED, Record
from firmware.flash.record_reading import INTERRUPTED, Job, jobs
from offline_ledger.errors import (
    AnswerInvalid,
    AnswerOfAnother,
    CertificateNameTaken,
    DeviceCertificateInvalid,
    DeviceDisagrees,
    DeviceNotNow,
    DeviceProgramOther,
    DeviceRequestWrong,
    DeviceSaidNo,
    DeviceSettingsWrong,
    DeviceUnreached,
    EnrolmentUnanswered,
    FileTaken,
    FileUnusable,
    Refusal,
    RequestPictureUnreadable,
    SaidOtherwise,
    StorageFull,
    TokenInvalid,
    TokenMistyped,
    TrustChainBroken,
)
from offline_ledger.protocol import cose, qr
from offline_ledger.protocol.answer import ENROLMENT_ANSWER, decode_answer
from offline_ledger.protocol.token import token_of
from simulators.demo.city import CITY, CityProgram
from tests.flash.provisioned_desk import DEVICE, NEEDED, OWNER, DeviceFolder, answer_of
from tests.processes.quick_city import QuickCity


class BenchFolder:
    """A technician's folder."""

    def __init__(self, folder: Path, city: CityProgram, more: str = "") -> None:
        folder.mkdir()
        self.folder = folder
        self.settings = folder / "bench.toml"
        at = f'url = "{city.url}"\nca_file = "{city.ca_file}"\n'
        self.settings.write_text(f'[bench]\ntechnician = "Noi"\n[city]\nid = "{CITY}"\n{more or at}')

    def provision(self, *words: str, device: str = DEVICE, role: str = "validator") -> tuple[int, str]:
        named = ("provision", device, "--role", role, *words, "--settings", str(self.settings), "--language", "en")
        mask, said = os.umask(0), self.folder / "said"
        try:
            with said.open("w", encoding="utf-8") as out, redirect_stdout(out), redirect_stderr(out):
                code = main([*named])
        finally:
            os.umask(mask)
        return code, said.read_text(encoding="utf-8")

    def jobs(self) -> list[Job]:
        record = Record.open(self.folder / "bench.db")
        try:
            return list(jobs(record))
        finally:
            record.close()

    def refuses(
        self, refusal: type[Refusal], *words: str, device: str = DEVICE, role: str = "validator", shown: str = ""
    ) -> None:
        code, said = self.provision(*words, device=device, role=role)
        assert code == (75 if refusal.waiting_helps else 1) and f"{refusal.number} " in said and shown in said, said
        job = self.jobs()[-1]
        assert (job.outcome, job.refusal_number) == (FAILED, refusal.number)


@pytest.fixture
def city(tmp_path: Path) -> Iterator[CityProgram]:
    with QuickCity(tmp_path / "city") as made:
        made.init()
        yield made


@pytest.fixture
def device(tmp_path: Path, city: CityProgram) -> DeviceFolder:
    return DeviceFolder(tmp_path / "device", city)


@pytest.fixture
def bench(tmp_path: Path, city: CityProgram) -> BenchFolder:
    return BenchFolder(tmp_path / "bench", city)


def check_done(bench: BenchFolder, device: DeviceFolder) -> None:
    found = device.provisioned()
    assert found is not None and device.first_kinds() >= NEEDED
    job = bench.jobs()[-1]
    assert (job.what, job.subject, job.who, job.outcome) == ("provision", device.device, "Noi", DONE)
    assert not job.unverified and not job.differences
    assert job.verified("key_fingerprint") == cose.key_id_of(found.signer.point).hex()
    assert job.verified("trust_list_version") == "1" and job.verified("device_id") == device.device


def test_all_of_it_online(city: CityProgram, bench: BenchFolder, device: DeviceFolder) -> None:
    city.serve()
    token = city.token(DEVICE, "validator", OWNER)
    code, said = bench.provision("--via", device.via, "--token", token)
    assert code == 0, said
    check_done(bench, device)
    assert [step.name for step in bench.jobs()[-1].steps] == ["request", "city", "answer"]
    key = device.key()
    assert bench.provision("--via", device.via, "--token", token)[0] == 0, "again, to the same end"
    assert device.key() == key
    kept = b"".join(path.read_bytes() for path in bench.folder.rglob("*") if path.is_file())
    secret = "".join(key.decode().splitlines()[1:-1])
    assert secret[10:60].encode() not in kept and secret[10:60] not in said, "the key never comes to the bench"


def test_carried_by_picture_and_back_by_codes_or_file(
    city: CityProgram, bench: BenchFolder, device: DeviceFolder, tmp_path: Path
) -> None:
    picture, request, answer = device.folder / "request.png", tmp_path / "request", tmp_path / "answer"
    assert device.run("enrol", "--request-qr", str(picture)).returncode == 0
    code, said = bench.provision("--request", str(picture), "--out", str(request))
    assert code == 0 and "kgo-city enrol" in said, said
    assert bench.provision("--request", str(picture), "--out", str(request))[0] == 0, "again, as after a power cut"
    waiting = bench.jobs()[-1]
    assert (waiting.outcome, waiting.steps[-1].name) == (INTERRUPTED, "operator"), "the city has it"
    assert drawn(said) == zxingcpp.read_barcodes(Image.open(picture))[0].text, "as the operator sees it on this screen"
    answer_of(city, request, answer)
    out = tmp_path / "to-the-device"
    out.write_bytes(b"somebody's")
    bench.refuses(FileTaken, "--request", str(picture), "--answer", str(answer), "--out", str(out))
    assert out.read_bytes() == b"somebody's"
    out.unlink()
    for _time in range(2):
        code, said = bench.provision("--request", str(picture), "--answer", str(answer), "--out", str(out))
    assert code == 0 and "--said" in said and bench.jobs()[-1].outcome == INTERRUPTED
    told = device.run("enrol", "--answer", str(out)).stdout
    code, said = bench.provision("--request", str(picture), "--answer", str(answer), "--said", told.split()[-1])
    assert code == 0, said
    check_done(bench, device)


def drawn(screen: str) -> str:
    """The code in a window's blocks, as a camera sees it."""
    rows = [line for line in screen.splitlines() if set(line) & set("▀▄█") and set(line) <= set(" ▀▄█")]
    picture = Image.new("L", (len(rows[0]) * 8, len(rows) * 16), 0)
    pen = ImageDraw.Draw(picture)
    for down, row in enumerate(rows):
        for across, char in enumerate(row):
            for half, lit in enumerate((char in "▀█", char in "▄█")):
                if lit:
                    left, top = across * 8, down * 16 + half * 8
                    pen.rectangle((left, top, left + 7, top + 7), 255)
    return zxingcpp.read_barcodes(picture)[0].text


def test_a_request_that_was_not_meant(
    city: CityProgram, bench: BenchFolder, device: DeviceFolder, tmp_path: Path
) -> None:
    request = device.folder / "request"
    assert device.run("enrol", "--request", str(request)).returncode == 0
    bench.refuses(DeviceRequestWrong, "--request", str(request), device="bus-10")
    bench.refuses(DeviceRequestWrong, "--request", str(request), role="shop")
    spoiled = tmp_path / "spoiled"
    spoiled.write_bytes(flipped(request.read_bytes()))
    bench.refuses(DeviceRequestWrong, "--request", str(spoiled))
    other = BenchFolder(tmp_path / "other", city)
    other.settings.write_text('[city]\nid = "TH-99"\n')
    other.refuses(DeviceRequestWrong, "--request", str(request))
    (tmp_path / "text").write_text(qr.encode(qr.QrType.RECEIPT, b"x"))
    bench.refuses(RequestPictureUnreadable, "--request", str(tmp_path / "text"))
    Image.new("L", (200, 200), 255).save(tmp_path / "empty.png")
    bench.refuses(RequestPictureUnreadable, "--request", str(tmp_path / "empty.png"))
    bench.refuses(FileUnusable, "--request", str(tmp_path / "none"))
    said = bench.provision("--request", str(request), role="shop")[1]
    assert "in role bus validator" in said and "role 2" not in said


NOT_A_DEVICE = (
    ("kgo-buss --settings {0}", DeviceUnreached, "kgo-buss"),
    ("'kgo-bus", DeviceUnreached, "No closing quotation"),
    ("sh -c 'kgo-buss \"$@\"'", DeviceUnreached, "kgo-buss"),
    ("sh -c 'echo Permission denied >&2; exit 255'", DeviceUnreached, "Permission denied"),
    ("echo hello", DeviceProgramOther, "hello"),
    ("true", DeviceProgramOther, "it said nothing"),
    ("false", DeviceProgramOther, "exit code 1"),
    ("sh -c 'echo 2002 >&2; exit 75'", DeviceProgramOther, "2002"),
    ("{1} -m bus_validator --settings {0}x", DeviceSettingsWrong, "check the name given to --settings"),
    ("{1} -m bus_validator --settings {2}", DeviceSettingsWrong, "device.id is missing"),
)


def test_a_typo_is_no_alarm(bench: BenchFolder, device: DeviceFolder, tmp_path: Path) -> None:
    """Each has its own number, and 7172 stays for what it is."""
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(device.settings.read_text().replace("id =", "idd ="))
    for via, refusal, shown in NOT_A_DEVICE:
        words = via.format(device.settings, sys.executable, wrong)
        bench.refuses(refusal, "--via", words, "--token", token_of(bytes(15)), shown=shown)
    assert not device.key()


def test_what_the_device_refuses_is_told_in_its_own_words(
    city: CityProgram, bench: BenchFolder, device: DeviceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_of(bytes(15))
    device.files.certificate.write_text("somebody's letter")
    kept = f"{CertificateNameTaken.number} "
    bench.refuses(DeviceSaidNo, "--via", device.via, "--token", token, shown=kept)
    device.files.certificate.unlink()
    request, answer = device.folder / "request", tmp_path / "answer"
    assert device.run("enrol", "--request", str(request)).returncode == 0
    answer_of(city, request, answer)
    full = speaking(device, tmp_path / "full", f"echo {StorageFull.number} full >&2; exit 75")
    bench.refuses(DeviceNotNow, "--via", full, "--answer", str(answer), shown=f"{StorageFull.number} full")
    monkeypatch.setattr(cli_provision, "DEVICE_S_MAX", 0.2)
    asleep = tmp_path / "asleep"
    asleep.write_text("#!/bin/sh\nexec sleep 60\n")
    asleep.chmod(0o755)
    bench.refuses(DeviceNotNow, "--via", str(asleep), "--answer", str(answer))


def test_an_answer_of_another(city: CityProgram, bench: BenchFolder, device: DeviceFolder, tmp_path: Path) -> None:
    request, answer = device.folder / "request", tmp_path / "answer"
    assert device.run("enrol", "--request", str(request)).returncode == 0
    answer_of(city, request, answer)
    other = DeviceFolder(tmp_path / "other", city, "bus-10")
    assert other.run("enrol", "--request", str(other.folder / "request")).returncode == 0
    answer_of(city, other.folder / "request", tmp_path / "of-other", "bus-10")
    bench.refuses(AnswerOfAnother, "--request", str(request), "--answer", str(tmp_path / "of-other"))
    twin = DeviceFolder(tmp_path / "twin", city)  # the same name, and a key of its own
    assert twin.run("enrol", "--request", str(twin.folder / "request")).returncode == 0
    bench.refuses(AnswerOfAnother, "--request", str(twin.folder / "request"), "--answer", str(answer))
    for said in ("0011223344556677", f"bus-10 {OWNER} 00", "no", ""):
        bench.refuses(SaidOtherwise, "--request", str(request), "--answer", str(answer), "--said", said)
    assert device.provisioned() is None, "nothing of it reached the device"


def test_a_device_that_holds_something_else_is_the_alarm(
    city: CityProgram, bench: BenchFolder, device: DeviceFolder, tmp_path: Path
) -> None:
    request, answer = device.folder / "request", tmp_path / "answer"
    assert device.run("enrol", "--request", str(request)).returncode == 0
    answer_of(city, request, answer)
    for line in (f"{DEVICE} {OWNER} 0011223344556677", f"bus-10 {OWNER} 0011223344556677"):
        liar = speaking(device, tmp_path / "liar", f"echo {line}")
        bench.refuses(DeviceDisagrees, "--via", liar, "--answer", str(answer), shown=line)
    polite = speaking(device, tmp_path / "polite", "echo thank you")
    bench.refuses(DeviceProgramOther, "--via", polite, "--answer", str(answer), shown="thank you")


def speaking(device: DeviceFolder, path: Path, answer: str) -> str:
    """A program that asks as the device's own does, and takes the answer otherwise."""
    path.write_text(f'#!/bin/sh\nif [ "$4" = --answer ]; then {answer}; else exec {device.via} "$@"; fi\n')
    path.chmod(0o755)
    return str(path)


def test_an_answer_that_was_tampered_with(
    city: CityProgram, bench: BenchFolder, device: DeviceFolder, tmp_path: Path
) -> None:
    request, answer = device.folder / "request", tmp_path / "answer"
    assert device.run("enrol", "--request", str(request)).returncode == 0
    good = answer_of(city, request, answer).read_bytes()
    whole = decode_answer(good)
    (chain,), certificate = whole.trust_lists, whole.certificate
    for changed, refusal in (
        (good[:40], AnswerInvalid),
        (ENROLMENT_ANSWER.encode(whole._replace(certificate=flipped(certificate))), DeviceCertificateInvalid),
        (ENROLMENT_ANSWER.encode(whole._replace(trust_lists=(flipped(chain),))), TrustChainBroken),
        (good.replace(b"TH-40", b"TH-41"), AnswerOfAnother),
    ):
        answer.write_bytes(changed)
        bench.refuses(refusal, "--request", str(request), "--answer", str(answer))


def flipped(raw: bytes) -> bytes:
    """One bit of the signature at its end."""
    return raw[:-1] + bytes([raw[-1] ^ 1])


def test_what_the_city_says_no_to(city: CityProgram, bench: BenchFolder, device: DeviceFolder) -> None:
    bench.refuses(EnrolmentUnanswered, "--via", device.via, "--token", token_of(bytes(15)))
    bench.refuses(TokenMistyped, "--via", device.via, "--token", "ABCDE")
    city.serve()
    bench.refuses(TokenInvalid, "--via", device.via, "--token", token_of(bytes(15)))
    key = device.key()
    assert key, "it has asked"
    assert bench.provision("--via", device.via, "--token", city.token(DEVICE, "validator", OWNER))[0] == 0
    check_done(bench, device)
    assert device.key() == key


def test_words_that_do_not_go_together(city: CityProgram, device: DeviceFolder, tmp_path: Path) -> None:
    bench = BenchFolder(tmp_path / "bare", city, more=" ")
    code, said = bench.provision("--via", device.via, "--token", token_of(bytes(15)))
    assert code != 0 and "city.url" in said
    code, said = bench.provision("--via", device.via)
    assert code != 0 and "--token" in said and not (bench.folder / "bench.db").exists()
    for words in (("--out", "file"), ("--codes",), ("--said", "0011223344556677")):
        code, said = bench.provision("--via", device.via, "--answer", "answer", *words)
        assert code != 0 and f"{words[0]}: --via" in said and not (bench.folder / "bench.db").exists()
    assert not device.key(), "nothing was begun"
