"""Another till's receipt at this one: what its code says is checked, the request is durable once, and bounded. §5."""

from pathlib import Path

import pytest

from offline_ledger import errors
from offline_ledger.errors import Refusal
from offline_ledger.protocol import base45, cbor, cose, device, qr
from offline_ledger.protocol.device import ClockTrust, EventKind, Voucher, VoucherKind
from offline_ledger.protocol.kinds import ZERO_HASH, Kind
from offline_ledger.protocol.qr import QrType
from offline_ledger.protocol.refund_request import Asked, RefundRequest, number_of, read_event
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.refund_asking import A_DAY_MAX, ASKED_META, DAY_META, RefundAsking
from simulators.keys import SimulatedKey
from simulators.storage.disk import DiskFaults, simulated_disk
from tests.terminal.desk import CITY, DEVICE_TEST_ONLY, NOW_S, DeskConditions, acceptor_on, open_journal

OTHER_TEST_ONLY = SimulatedKey(0x7777)
OWN = "bus-1"
SOLD = Voucher(
    "pos-2", 41, ZERO_HASH, NOW_S - 900, ClockTrust.SYNCED, VoucherKind.SALE, 2_000, 6_000, bytes(32), "all", (1, 1),
    {1: "s1", 5: 8_000}, None, None,
)  # fmt: skip


def signed(voucher: Voucher, key: SimulatedKey = OTHER_TEST_ONLY, city: str = CITY) -> cose.Signed:
    aad = cose.external_aad(Kind.VOUCHER, city)
    return cose.sign1(device.VOUCHER.encode(voucher), aad, key.key_id, key.sign)


def code(voucher: Voucher = SOLD, key: SimulatedKey = OTHER_TEST_ONLY, city: str = CITY) -> str:
    return qr.encode(QrType.RECEIPT, signed(voucher, key, city).raw)


class Till:
    """This one, on a journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.conditions = journal, DeskConditions()
        self.asking: RefundAsking = acceptor_on(journal, self.conditions).refunds()

    def ask(self, text: str = "", kgo: int = 2_000) -> Asked:
        return self.asking.ask(self.asking.read(text or code()), kgo, 7, "02", "wrong size")

    @property
    def requests(self) -> list[tuple[cose.Signed, RefundRequest]]:
        self.journal.flush()
        found = self.journal.events_after(0, 1_000)
        return [read_event(one.body, CITY) for one in found if one.kind == EventKind.REFUND_REQUEST]


@pytest.fixture
def till(tmp_path: Path) -> Till:
    return Till(open_journal(tmp_path))


def test_a_request_names_the_voucher_by_its_identity_and_is_signed(till: Till) -> None:
    made = till.ask(kgo=1_500)
    ((found, request),) = till.requests
    identity = signed(SOLD).identity
    assert request == RefundRequest(OWN, "pos-2", 41, identity, 1_500, NOW_S, 2, 7, "02", "wrong size")
    assert cose.is_signature_of(found, cose.verify_key(DEVICE_TEST_ONLY.point))
    assert made == Asked(number_of(found.identity), 1_500, NOW_S)


def test_asked_again_it_says_when_and_writes_nothing(till: Till, tmp_path: Path) -> None:
    shown = till.asking.read(code())
    assert till.asking.asked(shown) is None
    first = till.ask(kgo=500)
    till.conditions.now = TimeNow(NOW_S + 3_600, ClockTrust.SYNCED, 0)
    assert till.ask(kgo=500) == till.asking.asked(shown) == first
    till.journal.close()
    again = Till(Journal.open(tmp_path / "journal.db", device_id=OWN))
    assert again.ask(kgo=500) == first and len(again.requests) == 1


def test_another_amount_is_a_request_of_its_own(till: Till, tmp_path: Path) -> None:
    """The city declined the first; what it would give back can be asked for."""
    shown = till.asking.read(code())
    first = till.ask()
    till.conditions.now = TimeNow(NOW_S + 60, ClockTrust.SYNCED, 0)
    with pytest.raises(errors.ReturnTooLarge):
        till.ask(kgo=2_001)
    with pytest.raises(errors.AmountNotPositive):
        till.ask(kgo=0)
    second = till.ask(kgo=600)
    assert second.number != first.number and (second.kgo, second.at_s) == (600, NOW_S + 60)
    assert till.ask(kgo=600) == second == till.asking.asked(shown)
    assert [(number_of(found.identity), one.kgo) for found, one in till.requests] == [
        (first.number, 2_000),
        (second.number, 600),
    ]
    till.journal.close()
    again = Till(Journal.open(tmp_path / "journal.db", device_id=OWN))
    assert again.asking.asked(shown) == second


def test_another_amount_counts_for_the_day(till: Till) -> None:
    till.journal.meta_put(DAY_META, cbor.encode([(NOW_S + 25_200) // 86_400, A_DAY_MAX - 1]))
    first = till.ask()
    with pytest.raises(errors.RefundAskedTooOften):
        till.ask(kgo=600)
    assert till.asking.asked(till.asking.read(code())) == first and len(till.requests) == 1


@pytest.mark.parametrize(("kgo", "refusal"), [(1, None), (2_000, None), (0, errors.AmountNotPositive),
                                              (2_001, errors.ReturnTooLarge)])  # fmt: skip
def test_no_more_than_the_sale_took_and_not_nothing(till: Till, kgo: int, refusal: type[Refusal] | None) -> None:
    if refusal is None:
        assert till.ask(kgo=kgo).kgo == kgo
    else:
        with pytest.raises(refusal):
            till.ask(kgo=kgo)
        assert till.requests == []


def cut(text: str) -> str:
    return text[:-9]


def spoiled(text: str) -> str:
    """The voucher's structure is not whole any more."""
    raw = bytearray(base45.decode(text[6:]))
    raw[4] ^= 0xFF
    return text[:6] + base45.encode(bytes(raw))


UNFIT: dict[str, tuple[str, type[Refusal]]] = {
    "a refund": (code(SOLD._replace(kind=VoucherKind.REFUND, refers_to=2)), errors.ReceiptNotOfSale),
    "a void": (code(SOLD._replace(kind=VoucherKind.VOID, refers_to=2)), errors.ReceiptNotOfSale),
    "a ride": (code(SOLD._replace(kind=VoucherKind.BOARDING)), errors.ReceiptNotOfSale),
    "money alone": (code(SOLD._replace(kgo=0)), errors.ReceiptWithoutKgo),
    "in our name, not by us": (code(SOLD._replace(device=OWN)), errors.ReceiptForged),
    "in our name, by our key in training": (
        code(SOLD._replace(device=OWN), DEVICE_TEST_ONLY, f"{CITY}-TRAINING"),
        errors.ReceiptForged,
    ),
    "no code of ours": ("8850999320014", errors.NotOurCode),
    "another code of ours": (qr.encode(QrType.COUPON, signed(SOLD).raw), errors.WrongCodeType),
    "a code that ends early": (cut(code()), errors.CodeDamaged),
    "a code that was altered": (spoiled(code()), errors.Malformed),
    "no voucher in it": (qr.encode(QrType.RECEIPT, cbor.encode(7)), errors.Malformed),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_is_no_receipt_of_another_tills_sale_is_refused_by_number(till: Till, name: str) -> None:
    text, refusal = UNFIT[name]
    with pytest.raises(refusal):
        till.asking.read(text)
    assert till.requests == []


def test_a_receipt_of_our_own_is_known_as_that(till: Till) -> None:
    shown = till.asking.read(code(SOLD._replace(device=OWN), DEVICE_TEST_ONLY))
    assert shown.is_own and shown.voucher.sequence == 41


def test_what_another_key_signed_or_somebody_altered_has_another_identity(till: Till) -> None:
    """So the city, which knows the true one, declines it; this till need not know whose key it was. Another city's
    terminal has another key, and so has one that trains."""
    true = till.asking.read(code()).identity
    others = [code(SOLD._replace(kgo=2_001)), code(SOLD._replace(sequence=42)), code(key=SimulatedKey(0x8888))]
    assert all(till.asking.read(one).identity != true for one in others)


def test_a_terminal_that_is_paid_nothing_asks_for_nothing(till: Till) -> None:
    till.conditions.standing_refusal = errors.TerminalRevoked("after 3")
    with pytest.raises(errors.TerminalRevoked):
        till.ask()
    assert till.requests == []


def test_so_many_a_day_and_no_more(till: Till) -> None:
    till.journal.meta_put(DAY_META, cbor.encode([(NOW_S + 25_200) // 86_400, A_DAY_MAX - 1]))
    first = till.ask()
    other = code(SOLD._replace(sequence=42))
    with pytest.raises(errors.RefundAskedTooOften):
        till.ask(other)
    assert till.ask() == first and len(till.requests) == 1, "what was asked is still known"
    till.conditions.now = TimeNow(NOW_S + 86_400, ClockTrust.SYNCED, 0)
    assert till.ask(other).kgo == 2_000


@pytest.mark.parametrize("kept", [b"", b"\x80", cbor.encode([b"x", 1, 2]), cbor.encode([1, 2])])
@pytest.mark.parametrize("is_day", [False, True])
def test_what_the_journal_kept_and_nobody_can_read_is_damage(till: Till, kept: bytes, *, is_day: bool) -> None:
    if is_day and kept == cbor.encode([1, 2]):
        return
    till.journal.meta_put(DAY_META if is_day else ASKED_META + signed(SOLD).identity.hex(), kept)
    with pytest.raises(errors.JournalDamaged):
        till.ask()


def test_a_sync_that_fails_leaves_the_whole_request_or_nothing(tmp_path: Path) -> None:
    """Nothing is shown before the one sync that makes it durable; who asks again gets one request, whatever was
    written."""
    faults = DiskFaults()
    with simulated_disk(f"asking-{tmp_path.name}", faults) as disk:
        before = Till(open_journal(tmp_path, disk.name))
        faults.sync_fails_at = 1
        with pytest.raises(errors.StorageFailed):
            before.ask()
        before.journal.reopen_and_verify()
        after = Till(before.journal)
        number = after.ask().number
        assert [number_of(found.identity) for found, _request in after.requests] == [number]
        syncs = faults.syncs
        after.ask(code(SOLD._replace(sequence=42)))
        assert faults.syncs == syncs + 1
        before.journal.close()


def test_a_disk_that_refuses_writes_nothing_and_says_so(tmp_path: Path) -> None:
    faults = DiskFaults()
    with simulated_disk(f"asking-not-{tmp_path.name}", faults) as disk:
        till = Till(open_journal(tmp_path, disk.name))
        faults.writes_fail = True
        with pytest.raises(errors.StorageFailed):
            till.ask()
        faults.writes_fail = False
        till.journal.reopen_and_verify()
        assert till.asking.asked(till.asking.read(code())) is None and till.requests == []
        till.journal.close()
