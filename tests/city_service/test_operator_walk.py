"""Every command of `kgo-city` as an operator mistypes it, in both languages, at a desk city. DESIGN §1 "never see".

What is held against each output: the exit code that the guide promises, a number and a remedy with each refusal, no
stack trace, and no word of the other language but names, files, commands and what was typed.
"""

import gettext
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from time import time

import pytest

from offline_ledger.city import cli, equivocation
from offline_ledger.city.__main__ import main
from offline_ledger.city.equivocation import Contradiction
from offline_ledger.city.store import Store
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import StateKey
from offline_ledger.protocol.shop_event import ShopEvent, encode_shop_event
from offline_ledger.texts import Texts
from tests.city_service.desk import found

THAI = re.compile("[\u0e00-\u0e7f]")
ACCOUNT = "036811518aacd1e9edd460a74f1a5bbe60e8343ac96c2bad3f7392dc8c69327820"
REFUSAL = re.compile(r"^[4-6][0-9]{3} |^[23][0-9]{3} ", re.MULTILINE)
DONE, REFUSED, USAGE, FINDINGS = 0, 1, 2, -1
"""FINDINGS: exit code 1 without a refusal."""

WALK: list[tuple[int, str]] = [
    (REFUSED, "init CITY"),
    (REFUSED, "init /proc/nothing/here"),
    (USAGE, "init NEW --roots 2 --threshold 3"),
    (USAGE, "init NEW --roots 17"),
    (USAGE, "init NEW --city far-too-long-a-name-for-a-city"),
    (DONE, "fleet"),
    (FINDINGS, "exceptions"),
    (FINDINGS, "exceptions --all"),
    (DONE, "exceptions --settings QUIET"),
    (DONE, "fleet --settings QUIET"),
    (DONE, "keys"),
    (DONE, "wallet"),
    (REFUSED, "wallet 7"),
    (REFUSED, "wallet zz"),
    (REFUSED, "wallet --register 00"),
    (REFUSED, "wallet --register zz"),
    (REFUSED, f"wallet --register 05{ACCOUNT[2:]}"),
    (DONE, f"wallet --register {ACCOUNT} --medium card --concession senior"),
    (DONE, "wallet 1 --concession disabled"),
    (USAGE, "wallet 1 --concession rich"),
    (DONE, "balance 1"),
    (REFUSED, "balance 2"),
    (FINDINGS, "shifts"),
    (FINDINGS, "shifts --device pos-1 --csv"),
    (FINDINGS, "shifts --merchant noodle-1 --json --from 2020-01-01"),
    (USAGE, "shifts --json --csv"),
    (DONE, "shifts --settings QUIET"),
    (DONE, "shifts --until 2020-01-01"),
    (REFUSED, "shifts --device nobody"),
    (REFUSED, "shifts --merchant nobody"),
    (USAGE, "shifts --from 2569-01-01"),
    (DONE, "statement noodle-1"),
    (DONE, "statement noodle-1 --details --from 2026-01-01 --until 2026-12-31"),
    (REFUSED, "statement nobody"),
    (USAGE, "statement noodle-1 --from 2569-01-01"),
    (USAGE, "statement noodle-1 --from 2026-02-02 --until 2026-02-01"),
    (DONE, "enrol shop-1 --role shop --owner noodle-1"),
    (REFUSED, "enrol shop-1 --role validator --owner noodle-1"),
    (USAGE, "enrol x\u0e01 --role shop --owner noodle-1"),
    (USAGE, "enrol shop-1 --role shop --owner noodle-1 --offline-kgo 1.234"),
    (USAGE, "enrol shop-1 --role shop --owner noodle-1 --request NONE --out OUT"),
    (USAGE, "enrol shop-1 --role shop --owner noodle-1 --out OUT"),
    (USAGE, "enrol shop-1 --role baker --owner noodle-1"),
    (USAGE, "enrol"),
    (REFUSED, "release nobody"),
    (REFUSED, "unblock nobody"),
    (REFUSED, "decide nobody 1 --pay"),
    (USAGE, "decide nobody 1"),
    (USAGE, "decide nobody 0 --pay"),
    (USAGE, "decide nobody 1 --pay --refuse"),
    (REFUSED, "lift 9"),
    (REFUSED, "confirm 9"),
    (REFUSED, "reviewed nobody"),
    (DONE, "invite 1 --days 2"),
    (USAGE, "invite 0"),
    (DONE, "invitations"),
    (REFUSED, "invitations --withdraw 4"),
    (DONE, "refund-requests"),
    (REFUSED, "refund-requests --approve 7F3A92C1"),
    (REFUSED, "refund-requests --decline 7F3A92C1 --note why"),
    (REFUSED, "refund-requests --approve seven"),
    (USAGE, "refund-requests --decline 7F3A92C1"),
    (USAGE, "refund-requests --approve 7F3A92C1 --decline 7F3A92C1"),
    (DONE, "coupons"),
    (REFUSED, "coupons nobody 2 --out OUT --until 2026-12-01 --note why"),
    (REFUSED, "coupons --sheet 9"),
    (REFUSED, "coupons --cancel 9 --note stolen"),
    (USAGE, "coupons --cancel 9"),
    (USAGE, "coupons shop-1"),
    (USAGE, "coupons shop-1 0 --out OUT"),
    (USAGE, "coupons shop-1 2 --out OUT --until 2569-01-02"),
    (USAGE, "publish tariff NONE"),
    (USAGE, "publish tariff JUNK"),
    (USAGE, "publish tariff FOLDER"),
    (USAGE, "publish fares JUNK"),
    (USAGE, "grant NONE"),
    (USAGE, "grant JUNK"),
    (USAGE, "grant JUNK --back"),
    (USAGE, "grant JUNK --back --note why"),
    (DONE, "grant GIFTS"),
    (DONE, "grant GIFTS"),
    (DONE, "grant GIFTS --back --note why"),
    (DONE, "audit --settings QUIET"),
    (DONE, "backup COPY --settings QUIET"),
    (REFUSED, "backup COPY --settings QUIET"),
    (REFUSED, "backup OUT"),
    (DONE, "restore COPY --settings QUIET"),
    (REFUSED, "restore JUNK"),
    (USAGE, "restore NONE"),
    (DONE, "recover --settings QUIET"),
    (REFUSED, "recover"),
    (USAGE, "recover --new-log"),
    (USAGE, "recover --checkpoint-lost --settings QUIET"),
    (USAGE, "recover --leaves JUNK"),
    (USAGE, "recover --leaves NONE"),
    (REFUSED, "trust --root NONE"),
    (REFUSED, "trust --root ROOT"),
    (REFUSED, "trust --root JUNK"),
    (USAGE, "trust --root ROOT --revoke shop-1"),
    (REFUSED, "certificate OUT OUT2 --ca-key NONE"),
    (DONE, "deposit 1"),
    (REFUSED, "deposit 99"),
    (REFUSED, "deposit 1 99999"),
    (DONE, "deposit 1 5 --note shop"),
    (REFUSED, "deposit 1 6 --back"),
    (USAGE, "deposit 1 five"),
    (DONE, "close-day 2026-01-02"),
    (USAGE, "close-day 2569-01-02"),
    (REFUSED, "close-day 2199-01-02"),
    (DONE, "fund"),
    (REFUSED, "fund nobody 5"),
    (REFUSED, "join 1 1"),
    (REFUSED, "join 9 1"),
    (USAGE, "reconsider nobody 1"),
    (REFUSED, "reconsider nobody 1 --note why"),
    (REFUSED, "reconsider bus-1 9 --note why"),
    (REFUSED, "rotate ack --root ROOT"),
    (USAGE, "rotate nothing --root ROOT"),
    (USAGE, "routes NONE OUT"),
    (USAGE, "routes JUNK OUT"),
    (USAGE, "routes FOLDER OUT"),
    (USAGE, "routes FOLDER"),
    (USAGE, "crew NONE OUT --operator kk"),
    (USAGE, "crew JUNK OUT --operator kk"),
    (USAGE, "crew JUNK OUT"),
    (USAGE, "nonsense"),
    (USAGE, "fleet --nonsense"),
    (USAGE, "fleet --settings"),
    (USAGE, ""),
    (USAGE, "fleet --settings NONE"),
    (USAGE, "fleet --settings JUNK"),
    (REFUSED, "serve --settings LOST"),
    (REFUSED, "fleet --settings OTHER"),
    (REFUSED, "fleet --settings NODB"),
]


def make_busy(folder: Path) -> None:
    """Rows as a month of service leaves them, so that the lists say something. Nothing here is asked to verify."""
    store = Store.open(folder / "ledger.db")
    state = cbor.encode({int(StateKey.PENDING): 3, int(StateKey.OLDEST_PENDING_AT_S): 1_700_000_000})
    with store.transaction():
        for device, role, seen_s, reason in (
            ("pos-1", 1, int(time()) - 45, ""),
            ("bus-1", 2, int(time()) - 7_300, "two vouchers at 3"),
            ("bus-2", 2, 1_700_000_000, "two event chains"),
            ("new-1", 3, 0, ""),
        ):
            store.execute(
                "INSERT INTO devices(device, role, owner, point, certificate, not_before_s, expires_at_s,"
                " offline_value_kgo, offline_hours, enrolled_at_s, blocked, blocked_reason, last_seen_s, head_trust,"
                " state)"
                " VALUES(?, ?, 'noodle-1', x'00', x'00', 0, 0, 0, 0, 0, ?, ?, ?, ?, ?)",
                (device, role, int(bool(reason)), reason, seen_s, role - 1, state),
            )
        store.execute("UPDATE devices SET revoked_after = 4 WHERE device = 'pos-1'")
        for sequence, outcome, refusal, late in ((1, 1, 0, 1), (2, 2, 4036, 0), (3, 3, 4005, 0), (4, 4, 4003, 0)):
            store.execute(
                "INSERT INTO vouchers VALUES('bus-1', ?, ?, x'00', x'80', ?, ?, NULL, 2, 100, 0, 1, 1, ?, NULL)",
                (sequence, bytes([sequence] * 32), outcome, refusal, late),
            )
        store.execute("INSERT INTO suspense VALUES('bus-1', 2, 'noodle-1', 100, 4036, 5, 'paid: ')")
        store.execute("INSERT INTO suspense VALUES('bus-1', 1, 'noodle-1', 100, 4036, NULL, '')")
        shop = (
            ShopEvent(16, 1_790_000_000, 2, 7, "01", 0, 0, (50_000,), ""),
            ShopEvent(17, 1_790_000_100, 2, 7, "=1", 3, 3, (100, 0, 0, 0, 90, 0, 0, 1, 0, 0), ""),
            ShopEvent(22, 1_790_000_200, 2, 7, "01", 3, 0, (2,) * 15, ""),
        )
        bodies = [*map(encode_shop_event, shop), b"\x00"]
        store.execute_many("INSERT INTO events VALUES('pos-1', ?, 9, ?, x'00', 1790000300)", list(enumerate(bodies, 1)))
        for at, kind in enumerate(equivocation.ProofKind):
            proof = Contradiction(kind, b"a", bytes([at] * 32), b"b", b"b" * 32, b"\x80")
            equivocation.store_proof(store, proof, 5, device_id="bus-1")
    store.close()


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walk-test-only") / "city"
    found(folder)
    shutil.copytree(folder, folder / "quiet")
    make_busy(folder)
    (folder / "junk").write_text('not "what" was asked for\n')
    (folder / "gifts.csv").write_text("wallet,amount_kgo,reason\n1,5,2569/06\n")
    plain = (folder / "city.toml").read_text()
    (folder / "lost.toml").write_text(plain.replace('"ledger.db"', '"gone.db"'))
    (folder / "other.toml").write_text(plain.replace('"TH-40"', '"TH-41"'))
    (folder / "nodb.toml").write_text(plain.replace('"ledger.db"', '"junk"'))
    return folder


@pytest.fixture
def city(founded: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy for one walk; the process's own state is put back afterwards."""
    before, language, mask = gettext.textdomain(), os.environ.get("LANGUAGE"), os.umask(0o077)
    yield shutil.copytree(founded, tmp_path / "city")
    os.umask(mask)
    gettext.textdomain(before)
    os.environ.pop("LANGUAGE", None)
    if language is not None:
        os.environ["LANGUAGE"] = language


def typed(city: Path, line: str) -> list[str]:
    """The words of one line, with the files that it names."""
    files = {
        "CITY": city,
        "NEW": city.parent / "new",
        "NONE": city / "none",
        "OUT": city / "out",
        "OUT2": city / "out2",
        "COPY": city / "copy.db",
        "JUNK": city / "junk",
        "GIFTS": city / "gifts.csv",
        "FOLDER": city / "keys",
        "ROOT": city / "keys" / "root-1.key",
        "LOST": city / "lost.toml",
        "OTHER": city / "other.toml",
        "QUIET": city / "quiet" / "city.toml",
        "NODB": city / "nodb.toml",
    }
    words = [str(files.get(word, word)) for word in line.split()]
    named = "--settings" in words or (words[:1] == ["init"]) or not words
    return words if named else [*words, "--settings", str(city / "city.toml")]


def english_in(text: str, city: Path, words: list[str]) -> list[str]:
    """English words in Thai output that are neither names nor commands."""
    plain = text.replace(str(city.parent), "")
    for word in sorted(words, key=len, reverse=True):
        plain = plain.replace(word, "")
    lines = [line for line in plain.splitlines() if not re.match(r"วิธีใช้:|\s|posting,|merchant,|invitation,", line)]
    commands = "|".join(re.findall(r"^    ([a-z-]+) ", cli.build_parser(Texts("th")).format_help(), re.MULTILINE))
    known = "|".join(
        (
            r"kgo-city|--[a-z-]+|เลือกจาก [^)]*|'[^']*'|[\w.-]*\.(key|db|toml|crt|csv|json|txt)",
            r"\b[A-Z0-9][A-Z0-9-]*\b|UTF-\d|P-256|\bhex\b|(noodle|bus|pos|new)-[0-9]|kgo-discount|/[\w/.-]+",
            rf"\b({commands})\b|\(registering.mode = \"open\"\)|wallet,amount_kgo,reason",
            r"id,name,pin,cards|id, name, pin",
            r"[0-9a-f]{16,}|\b[a-z]+\.[a-z_]+\b|\b\w+Error\b",
        )
    )
    left = re.sub(known, " ", "\n".join(lines))
    return re.findall(r"[A-Za-z]{3,}", left)


@pytest.mark.parametrize("language", ["th", "en"])
def test_the_walk(city: Path, language: str, capfd: pytest.CaptureFixture[str]) -> None:
    wrong: list[str] = []
    for code, line in WALK:
        words = [*typed(city, line), "--language", language]
        try:
            ended = main(words)
        except SystemExit as left:
            ended = int(str(left.code))
        out, err = capfd.readouterr()
        text = out + err
        if ended != abs(code) or "Traceback" in text:
            wrong.append(f"{line}: exit code {ended}, not {code}: {text}")
        is_argparse = "usage:" in text or "วิธีใช้:" in text
        if (
            code in (REFUSED, USAGE)
            and not is_argparse
            and not (REFUSAL.search(err) and ("What to do" in err or "ทำอย่างไร" in err))
        ):
            wrong.append(f"{line}: no number or remedy: {text}")
        if language == "th" and (left_over := english_in(text, city, words)):
            wrong.append(f"{line}: English {left_over} in: {text}")
        if language == "en" and THAI.search(text.replace("ก๋วยเตี๋ยวหน้ามอ", "").replace("\u0e01", "")):
            wrong.append(f"{line}: Thai in: {text}")
        if re.search(r"{[a-z_]+}", text) and not is_argparse:
            wrong.append(f"{line}: a place that was not filled in: {text}")
        if not text.strip():
            wrong.append(f"{line}: says nothing")
    assert wrong == [], "\n".join(wrong)


def test_the_walk_sees_english_and_silence(city: Path) -> None:
    """The judge itself, shown bad samples."""
    assert english_in("รายละเอียด: /x: No such file", city, ["/x"]) == ["such", "file"]
    assert english_in("4008 ไม่พบ\nรายละเอียด: 7\nดู kgo-city wallet --register", city, []) == []


def test_every_command_is_walked() -> None:
    parser = cli.build_parser(Texts("en"))
    listed = set(re.findall(r"^    ([a-z-]+)  ", parser.format_help(), re.MULTILINE))
    walked = {line.split()[0] for _, line in WALK if line}
    assert listed - walked == set()
