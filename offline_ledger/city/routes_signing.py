"""Bulletins that travel as files: the route file and the crew file, signed by the city. DESIGN §4; decision 0140.

They are not kept in the ledger and never handed out by the service. Their counter is the second they were signed, so a
later file has a higher version, on any desk and after any restore.
"""

from collections.abc import Mapping

from offline_ledger.city import trust
from offline_ledger.city.bulletins import Validity
from offline_ledger.city.store import Store
from offline_ledger.errors import FeedTooLarge, NotProvisioned, TooLarge
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import BULLETIN, Bulletin
from offline_ledger.protocol.cose import Signer
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind


def sign_file(
    store: Store, signer: Signer, kind: int, body: Mapping[int, object], now_s: int, validity: Validity
) -> tuple[Bulletin, bytes]:
    """The bulletin and the whole file. Raises NotProvisioned without a trust list, FeedTooLarge."""
    held = trust.newest(store)
    if held is None:
        raise NotProvisioned("no trust list")
    version = (held.trust_list.version, now_s)
    made = Bulletin(store.city, kind, version, now_s, validity.from_s, validity.until_s, body)
    aad = cose.external_aad(Kind.BULLETIN, store.city)
    try:
        payload = BULLETIN.encode(made)
    except TooLarge as error:
        raise FeedTooLarge(error.detail) from error
    raw = cose.sign1(payload, aad, cose.key_id_of(signer.point), signer.sign).raw
    if len(raw) > CITY_OBJECT_BYTES_MAX:
        raise FeedTooLarge(f"{len(raw)} > {CITY_OBJECT_BYTES_MAX}")
    return made, raw
