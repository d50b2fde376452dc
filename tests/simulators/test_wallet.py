"""The simulated phone: n and S are durable before a code is shown; honest unless told otherwise. DESIGN §2, §4."""

import json
import os
import stat
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
from offline_ledger.rules.limits import Limits
from simulators import cheats
from simulators.keys import SimulatedKey
from simulators.wallet import FRESH_S, IntentEnded, PhoneWallet
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
        with pytest.raises(OSError, match="input/output"):
            phone.code(NOW_S)  # nor one whose time nobody would know of after a restart
    assert phone.state == before == PhoneWallet(tmp_path, CITY, Random(2)).state
    assert shown_by(phone.code(NOW_S)).n == 1


def test_the_new_name_is_durable_too_before_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renamed file may have its old content again after a power cut, until its folder is synced."""
    phone, synced = make_phone(tmp_path), list[tuple[int, bool]]()
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        fsync(descriptor)
        n = int(json.loads((tmp_path / "wallet.json").read_text())["n"])
        synced.append((n, stat.S_ISDIR(os.fstat(descriptor).st_mode)))

    monkeypatch.setattr(os, "fsync", watched)
    phone.new_intent(Audience.TRANSIT, 5_000)
    assert synced == [(0, False), (1, True)]


L_S = Limits().intent_life_s


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize(
    ("codes_at_s", "is_alive"),
    [
        ((0,), True),
        ((0, L_S - 1), True),
        ((0, L_S), False),
        ((0, L_S + 1), False),
        ((0, L_S // 2, L_S - 1), True),
        ((0, L_S // 2, L_S), False),
        ((0, L_S, 1), False),  # what has ended stays so when the clock steps back
        ((0, L_S, -L_S), False),
        ((0, -3_600, -3_600 + L_S - 1), True),  # an hour back at once: what runs forward from there counts
        ((0, -3_600, -3_600 + L_S), False),
        ((0, 100, 0, L_S - 101), True),  # 100 s had passed before it stepped back
        ((0, 100, 0, L_S - 100), False),
        ((0, -5, 0, L_S - 6), True),  # back and forth: early, never late
        ((0, -5, 0, L_S - 5), False),
        ((-NOW_S, -NOW_S + L_S), False),  # a phone whose clock begins at 1970
    ],
)
def test_an_intent_ends_l_after_its_first_code(
    tmp_path: Path, codes_at_s: tuple[int, ...], *, is_alive: bool, is_restarted: bool
) -> None:
    phone, ended = make_phone(tmp_path), list[bool]()
    phone.new_intent(Audience.TRANSIT, 5_000)
    for later_s in codes_at_s:
        if is_restarted:
            phone = PhoneWallet(tmp_path, CITY, Random(2))
        try:
            assert shown_by(phone.code(NOW_S + later_s)).n == 1
            ended.append(False)
        except IntentEnded:
            ended.append(True)
    assert ended[-1] is not is_alive and ended == sorted(ended)


def test_after_an_intent_has_ended_the_next_one_has_a_life_of_its_own(tmp_path: Path) -> None:
    phone = make_phone(tmp_path)
    phone.new_intent(Audience.TRANSIT, 5_000)
    phone.code(NOW_S)
    with pytest.raises(IntentEnded):
        phone.code(NOW_S + L_S)
    phone.new_intent(Audience.TRANSIT, 5_000)
    for later_s in (L_S, 2 * L_S - 1):
        shown = shown_by(phone.code(NOW_S + later_s))
        assert (shown.n, shown.sum_kgo) == (2, 5_000), "what was authorised stays so"
    with pytest.raises(IntentEnded):
        phone.code(NOW_S + 2 * L_S)


def test_the_time_before_its_first_code_counts_for_nothing(tmp_path: Path) -> None:
    phone = make_phone(tmp_path)
    phone.new_intent(Audience.TRANSIT, 5_000)
    cheats.screenshot(phone, NOW_S - 86_400)
    assert shown_by(phone.code(NOW_S + 10 * L_S)).n == 1


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
