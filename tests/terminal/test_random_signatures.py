"""A device whose signatures differ each time, as a token's do: nothing is told by their bytes. Decision 0230.

Every signature here is a fresh one over the same bytes; the city is the real ingest, with its audit.
"""

import random
import zlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from offline_ledger.protocol import cose, device
from offline_ledger.protocol.kinds import Kind
from offline_ledger.terminal.sync_wire import HTTP_OK
from simulators.keys import SimulatedKey
from tests.terminal.city_in_test import CITY, DEVICE_TEST_ONLY
from tests.terminal.sync_pair import Pair

_ES256 = ec.ECDSA(hashes.SHA256())


@pytest.fixture(autouse=True)
def random_signatures(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Of the device alone; each that it made."""
    made: list[bytes] = []
    usual = SimulatedKey.sign
    key = ec.derive_private_key(DEVICE_TEST_ONLY.secret, ec.SECP256R1())

    def sign(self: SimulatedKey, message: bytes) -> bytes:
        if self.secret != DEVICE_TEST_ONLY.secret:
            return usual(self, message)
        r, s = decode_dss_signature(key.sign(message, _ES256))
        made.append(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return made[-1]

    monkeypatch.setattr(SimulatedKey, "sign", sign)
    return made


def test_a_head_that_is_signed_again_is_the_same_head(pair: Pair, random_signatures: list[bytes]) -> None:
    desk = pair.desk
    desk.sell(3, passes=0)
    desk.wait_due()
    request = desk.step()
    while request is None or request.path != "/v1/batches":
        assert request is not None
        desk.hear(desk.city.answer(request))
        request = desk.step()
    assert request.body is not None
    batch = device.BATCH.decode(zlib.decompress(request.body), 2_000_000)
    aad = cose.external_aad(Kind.BATCH_HEAD, CITY)
    first = cose.parse_sign1(batch.head, aad)
    heads = [first, *(cose.sign1(first.payload, aad, first.key_id, DEVICE_TEST_ONLY.sign) for _ in range(2))]
    assert {one.identity for one in heads} == {first.identity}
    for one in heads:
        body = zlib.compress(device.BATCH.encode(batch._replace(head=one.raw)))
        assert desk.city.answer(request._replace(body=body)).status == HTTP_OK
    assert pair.town.store.one("SELECT count(*) FROM batches WHERE identity = ?", (first.identity,)) == (1,)
    desk.lose()  # it hears of none of them, and signs anew
    assert len({one.signature for one in heads}) == len(heads)
    pair.exchange(3)
    assert [sequence for sequence, _times in pair.posted()] == [1, 2, 3]
    assert pair.town.store.one("SELECT count(*) FROM equivocations") == (0,)
    pair.town.assert_sound()
    assert len(set(random_signatures)) == len(random_signatures) > 6


def test_over_a_bad_link_with_restarts_all_is_posted_once(
    pair: Pair, rng: random.Random, slice_of: Callable[[int, int], int]
) -> None:
    sold = pair.sell_over_a_bad_link(rng, slice_of(40, 8), 45)
    assert [sequence for sequence, _times in pair.posted()] == list(range(1, sold + 1))
    assert {times for _sequence, times in pair.posted()} == {1}
    assert pair.town.store.one("SELECT count(*) FROM equivocations") == (0,)
    pair.town.assert_sound()
