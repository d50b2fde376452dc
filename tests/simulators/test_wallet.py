"""The simulated phone: n and S are durable before a code is shown; honest unless told otherwise. DESIGN §2, §4."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from offline_ledger.protocol import cose, qr, wallet
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Allowance, Audience, Concession, Medium, Presentment
from offline_ledger.rules import acceptance
from simulators.keys import SimulatedKey
from simulators.wallet import FRESH_S, PhoneWallet
from tests.terminal.desk import AAD, CITY, ISSUER_TEST_ONLY, NOW_S

SECRET = 0x77


def make_phone(folder: Path) -> PhoneWallet:
    """A phone with an allowance that it took before."""
    phone = PhoneWallet(folder, CITY, Random(1))
    point = SimulatedKey(SECRET).point
    said = Allowance(
        CITY, bytes(8), point, 50_000, 10_000, 3_000, Concession.ADULT, Medium.PHONE, NOW_S - 60, NOW_S + 170_000
    )
    payload = wallet.ALLOWANCE.encode(said)
    signed = cose.sign1(payload, AAD[Kind.ALLOWANCE], ISSUER_TEST_ONLY.key_id, ISSUER_TEST_ONLY.sign)
    phone._keep(replace(phone.state, wallet_secret=SECRET, allowance_hex=signed.raw.hex()))
    return phone


def shown_by(text: str) -> Presentment:
    """What a code says, once its signature is checked."""
    code = qr.decode(text)
    signed = cose.parse_sign1(code.objects[1], AAD[Kind.PRESENTMENT])
    assert cose.is_signature_of(signed, cose.verify_key(SimulatedKey(SECRET).point))
    return wallet.PRESENTMENT.decode(signed.payload, OBJECT_BYTES_MAX)


def test_refreshing_a_code_changes_its_time_alone(tmp_path: Path) -> None:
    phone = make_phone(tmp_path)
    phone.new_intent(Audience.TRANSIT, 5_000)
    first, second = shown_by(phone.code(NOW_S)), shown_by(phone.code(NOW_S + 20))
    assert acceptance.intent_of(first) == acceptance.intent_of(second)
    assert (first.at_s, second.at_s, first.valid_s) == (NOW_S, NOW_S + 20, FRESH_S)


def test_each_new_intent_counts_on_and_the_sum_never_shrinks(tmp_path: Path) -> None:
    phone = make_phone(tmp_path)
    said: list[tuple[int, int, int]] = []
    for cap_kgo in (5_000, 0, 300, 5_000):
        phone.new_intent(Audience.SHOP, cap_kgo)
        shown = shown_by(phone.code(NOW_S))
        said.append((shown.n, shown.sum_kgo, shown.cap_kgo))
    assert said == [(1, 0, 5_000), (2, 5_000, 0), (3, 5_000, 300), (4, 5_300, 5_000)]


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    phone = make_phone(tmp_path)
    phone.new_intent(Audience.TRANSIT, 5_000)
    again = PhoneWallet(tmp_path, CITY, Random(2))
    assert again.state == phone.state
    assert shown_by(again.code(NOW_S)) == shown_by(phone.code(NOW_S))


def test_no_code_is_shown_whose_counter_is_not_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = make_phone(tmp_path)
    phone.new_intent(Audience.TRANSIT, 5_000)
    before = phone.state

    def fails(_descriptor: int) -> None:
        raise OSError(5, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(OSError, match="input/output"):
            phone.new_intent(Audience.TRANSIT, 5_000)
    assert phone.state == before and shown_by(phone.code(NOW_S)).n == 1
    assert PhoneWallet(tmp_path, CITY, Random(2)).state == before


PROGRAM = """
import os, sys
from pathlib import Path
from random import Random
from offline_ledger.protocol.wallet import Audience
from simulators.wallet import PhoneWallet
phone = PhoneWallet(Path(sys.argv[1]), "TH-40", Random(1))
for _ in range(1000):
    phone.new_intent(Audience.TRANSIT, 100)
    os.write(1, f"{phone.state.n} {phone.state.sum_kgo}\\n".encode())
"""


def test_killed_at_any_moment_it_never_forgets_what_it_has_shown(tmp_path: Path, rng: Random) -> None:
    make_phone(tmp_path)
    shown = 0
    for _ in range(3):
        lines = rng.randint(1, 30)
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as phone:
            assert phone.stdout is not None
            for _line in range(lines):
                shown = int(phone.stdout.readline().split()[0])
            phone.kill()
            shown = max([shown, *(int(line.split()[0]) for line in phone.stdout if line.endswith("\n"))])
        state = PhoneWallet(tmp_path, CITY, Random(2)).state
        assert shown <= state.n <= shown + 1
        assert state.sum_kgo == 100 * (state.n - 1)


def test_what_is_kept_is_one_small_file(tmp_path: Path) -> None:
    make_phone(tmp_path).new_intent(Audience.TRANSIT, 5_000)
    assert [path.name for path in tmp_path.iterdir()] == ["wallet.json"]
    assert json.loads((tmp_path / "wallet.json").read_text())["n"] == 1
