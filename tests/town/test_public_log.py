"""The log as anybody checks it over HTTP: signed checkpoints that only grow, and proofs between any two. DESIGN §8."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import cast

import pytest

from offline_ledger.city.__main__ import main
from offline_ledger.errors import AccountKeyWrong, NotInLog
from offline_ledger.money import KGO
from offline_ledger.protocol import cbor, cose, tree
from offline_ledger.protocol.city import LOG_CHECKPOINT, KeyRole, LogCheckpoint
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Audience
from offline_ledger.terminal.ports import CityAnswer, CityRequest
from tests.town.in_process import CITY, AppUplink, Town, open_town


@pytest.fixture
def town(tmp_path: Path, rng: Random) -> Iterator[Town]:
    with open_town(tmp_path, rng) as made:
        yield made


def get(town: Town, path: str) -> CityAnswer:
    """What anybody gets."""
    return AppUplink(town.app).exchange(CityRequest("GET", path, None, CITY_OBJECT_BYTES_MAX))


def checkpoint(town: Town) -> LogCheckpoint:
    """The newest one, its signature checked by the key that the trust list names for the log."""
    raw = get(town, "/v1/checkpoint").body
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.LOG_CHECKPOINT, CITY), CITY_OBJECT_BYTES_MAX)
    trust = town.terminals[0].station.trust
    keys = [key for trusted, key in trust.candidates(signed.key_id) if trusted.role == KeyRole.LOG]
    assert any(cose.is_signature_of(signed, key) for key in keys)
    return LOG_CHECKPOINT.decode(signed.payload, CITY_OBJECT_BYTES_MAX)


def grow(town: Town, rides: int) -> LogCheckpoint:
    """So many more vouchers in the log."""
    for at in range(rides):
        phone = town.wallet(f"rider-{town.now_s()}-{at}")
        phone.new_intent(Audience.TRANSIT, 50 * KGO)
        town.terminals[0].take(phone.code(town.now_s()))
    town.sync()
    return checkpoint(town)


def test_every_two_checkpoints_are_proven_to_be_one_log(town: Town) -> None:
    town.terminal(DeviceRole.VALIDATOR)
    heads = [grow(town, rides) for rides in (1, 2, 3, 1, 5)]
    assert [head.size for head in heads] == [1, 3, 6, 7, 12]
    for at, new in enumerate(heads):
        for old in heads[: at + 1]:
            answer = get(town, f"/v1/consistency?from={old.size}&to={new.size}")
            proof = cast(list[bytes], cbor.decode(answer.body, CITY_OBJECT_BYTES_MAX))
            assert tree.is_consistent(old.size, new.size, proof, old.root, new.root)
            assert not tree.is_consistent(old.size, new.size, proof, bytes(32), new.root)


@pytest.mark.parametrize(("first", "last"), [(0, 1), (2, 1), (1, 3), (3, 3), (0, 0)])
def test_sizes_that_the_log_has_not_are_refused_by_number(town: Town, first: int, last: int) -> None:
    town.terminal(DeviceRole.VALIDATOR)
    assert grow(town, 2).size == 2
    answer = get(town, f"/v1/consistency?from={first}&to={last}")
    found = cbor.decode(answer.body, 1_024)
    assert isinstance(found, dict) and (answer.status, found[1]) == (404, NotInLog.number)


@pytest.mark.parametrize("said", ["", "xyz", "00" * 33, "02" + "ff" * 32, "02" * 32])
def test_an_account_key_that_is_none_is_told_so(town: Town, capsys: pytest.CaptureFixture[str], said: str) -> None:
    settings = str(town.folder / "city-test-only" / "city.toml")
    code = main(["wallet", "--register", said, "--settings", settings, "--language", "en"])
    assert code != 0 or not said
    assert (str(AccountKeyWrong.number) in capsys.readouterr().err) is bool(said)
