"""A validator's folder as enrolment and a first sync would have left it, for tests and benchmarks without a city."""

from pathlib import Path

from bus_validator.boarding import TRIP_META, Trip, encode_trip
from offline_ledger.protocol.city import ACK, Ack, BulletinKind
from offline_ledger.protocol.deny_list import encode_ids, list_sum
from offline_ledger.protocol.kinds import Kind
from offline_ledger.rules.limits import Limits
from offline_ledger.rules.tariff import Product, ProductKind, Tariff, encode_tariff
from offline_ledger.terminal.bulletins import BulletinStore
from offline_ledger.terminal.clock_keeper import ClockKeeper
from offline_ledger.terminal.deny_list import DenyList
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.signers.key_file import make_key_file
from offline_ledger.terminal.sync_record import SyncRecord, store_record
from offline_ledger.terminal.trust import TrustStore
from simulators.clock import FakeClock
from tests.terminal.city_in_test import ACK_TEST_ONLY, CITY, DEVICE, bulletin, certificate, sign, trust_list

__all__ = ["DEVICE", "provision_bus"]

DENIED_IDS = (b"\x01\xde\x01\xed\x00\x01", b"\x01\xde\x01\xed\x00\x02")
TRIP = Trip("8", "morning", None)
FARE = Product("flat", int(ProductKind.FLAT), "รถเมล์", "City bus", 5_000, 100, None, None, None)


def provision_bus(
    folder: Path,
    now_s: int,
    scanner_port: Path,
    *,
    url: str = "https://127.0.0.1:9",
    ca_file: Path | None = None,
    fare: Product = FARE,
    trip: Trip | None = TRIP,
) -> Path:
    """Key, certificate, trust list, tariff, a sync of a moment ago, a trip; the settings file. A journal is kept."""
    signer = make_key_file(folder / "device.key")
    (folder / "device.cert").write_bytes(certificate(signer.point))
    raw, _hash = trust_list()
    trust = TrustStore.provision(folder / "trust.list", CITY, [raw])
    with Journal.open(folder / "journal.db", device_id=DEVICE) as journal:
        clock = FakeClock(now_s)
        keeper = ClockKeeper(journal, clock, Limits(), now_s - 1_000)
        keeper.heard_time_answer(now_s, 0, 0)
        held = BulletinStore(CITY, trust, journal, keeper)
        count = len(DENIED_IDS)
        deny_body: dict[int, object] = {1: list_sum(DENIED_IDS), 2: count, 3: now_s - 60, 4: 0, 5: b"", 6: b""}
        bodies = {
            BulletinKind.TARIFF: encode_tariff(Tariff((fare,), (), None, None)),
            BulletinKind.DENY_LIST: deny_body,
        }
        for kind, body in bodies.items():
            signed = bulletin(
                kind, body=body, issued_at_s=now_s - 60, valid_from_s=now_s - 60, valid_until_s=now_s + 86_400
            )
            taken = held.check(signed)
            assert taken is not None
            held.take(taken)
        deny = DenyList.open(folder / "deny")
        if not deny.counter:  # unless a test has put a list there
            (folder / "deny").mkdir(exist_ok=True)
            deny.replace(1, encode_ids(DENIED_IDS), list_sum(DENIED_IDS), count)
        if trip is not None:
            journal.meta_put(TRIP_META, encode_trip(trip))
        store_record(journal, SyncRecord(complete_at_s=now_s))
        tail = journal.tail
        if tail.sequence:  # all of it is acknowledged: nothing counts against F
            done = Ack(DEVICE, 1, tail.sequence, tail.identity, 0, (), tail.sequence, bytes(32), now_s)
            journal.record_ack(sign(Kind.ACK, ACK.encode(done), ACK_TEST_ONLY).raw, tail.sequence, 0)
    (folder / "rtc").write_text(f"{now_s}\n")
    if ca_file is None:
        ca_file = folder / "ca.pem"
        ca_file.write_text("no city is reached here\n")
    settings = folder / "bus.toml"
    settings.write_text(
        f"""[device]
city = "{CITY}"
id = "{DEVICE}"
[city]
url = "{url}"
ca_file = "{ca_file}"
[files]
deny_list = "deny"
[scanner]
port = "{scanner_port}"
[clock]
rtc = "rtc"
"""
    )
    return settings
