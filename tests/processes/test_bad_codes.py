"""Bad codes at a real validator: each its own words in both languages, nothing journaled as accepted. DESIGN §5."""

import time
from collections.abc import Callable
from pathlib import Path

from offline_ledger import errors
from offline_ledger.errors import Refusal
from offline_ledger.protocol import cose, qr, wallet
from offline_ledger.protocol.device import EventKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Audience
from offline_ledger.terminal.drivers.lines import LINE_BYTES_MAX
from simulators.demo.story import PROMPTPAY
from simulators.keys import SimulatedKey
from tests.processes.lone_bus import LIFE_S, lone_bus, rider
from tests.terminal.desk import AAD, ISSUER_TEST_ONLY, DeskWallet, issue

Make = Callable[[int], str]


def person(now_s: int, *, not_before_s: int = -600, expires_at_s: int = LIFE_S) -> DeskWallet:
    """Somebody with an allowance that lives so long, in seconds from now."""
    held = issue(0xBAD, not_before_s=now_s + not_before_s, expires_at_s=now_s + expires_at_s)
    held.next()
    return held


def another_city(now_s: int) -> str:
    held = person(now_s)
    said = wallet.ALLOWANCE.decode(held.allowance.payload, OBJECT_BYTES_MAX)._replace(city="TH-10")
    aad = cose.external_aad(Kind.ALLOWANCE, "TH-10")
    allowance = cose.sign1(wallet.ALLOWANCE.encode(said), aad, ISSUER_TEST_ONLY.key_id, ISSUER_TEST_ONLY.sign)
    return qr.encode(qr.QrType.PRESENTMENT, allowance.raw, qr.decode(held.code(now_s)).objects[1])


def forged(now_s: int) -> str:
    held = person(now_s)
    aad = AAD[Kind.ALLOWANCE]
    allowance = cose.sign1(held.allowance.payload, aad, ISSUER_TEST_ONLY.key_id, SimulatedKey(0xF04).sign)
    return qr.encode(qr.QrType.PRESENTMENT, allowance.raw, qr.decode(held.code(now_s)).objects[1])


def receipt(now_s: int) -> str:
    return qr.encode(qr.QrType.RECEIPT, b"a voucher")


BAD: dict[str, tuple[Make, type[Refusal]]] = {
    "unknown city": (another_city, errors.UnknownCity),
    "expired allowance": (lambda now_s: person(now_s, expires_at_s=-60).code(now_s), errors.AllowanceExpired),
    "allowance of tomorrow": (
        lambda now_s: person(now_s, not_before_s=600).code(now_s),
        errors.AllowanceNotYetValid,
    ),
    "wrong audience": (lambda now_s: person(now_s).code(now_s, Audience.SHOP), errors.WrongAudience),
    "future time": (lambda now_s: person(now_s).code(now_s + 60), errors.CodeFromFuture),
    "yesterday's screen": (lambda now_s: person(now_s).code(now_s - 90), errors.CodeTooOld),
    "truncated": (lambda now_s: person(now_s).code(now_s)[:300], errors.CodeDamaged),
    "forged": (forged, errors.AllowanceForged),
    "a receipt": (receipt, errors.WrongCodeType),
}
FOREIGN = (PROMPTPAY, "https://kkmuni.go.th/bus?KGO1P:", "8850006330012", "WIFI:T:WPA;S:bus;P:secret;;", "KGO2P:00")


def test_each_bad_code_has_its_own_words_and_is_never_accepted(tmp_path: Path) -> None:
    titles: dict[str, tuple[str, str]] = {}
    with lone_bus(tmp_path) as bus:
        bus.start()
        for name, (make, expected) in BAD.items():
            said = bus.scan(make(int(time.time())))
            assert said["refusal"] == expected.number, (name, said)
            assert said["light"] in ("refused", "try_again")
            assert said["remedy_th"] and said["remedy_en"]
            titles[name] = (said["title_th"], said["title_en"])
        for text in FOREIGN:
            said = bus.scan(text)
            assert said["refusal"] == errors.NotOurCode.number, text
            titles["not ours"] = (said["title_th"], said["title_en"])
        assert bus.tap(rider(0x600D))["light"] == "accepted_cash_due", "the next passenger gets on"
        bus.program.kill()
        vouchers, events = bus.journal()
    assert len({thai for thai, _ in titles.values()}) == len({english for _, english in titles.values()}) == len(titles)
    assert [row.sequence for row in vouchers] == [1]
    assert sum(event.kind == EventKind.REFUSAL for event in events) == len(BAD) + len(FOREIGN)


def test_a_line_that_is_too_long_is_told_and_spoils_no_other(tmp_path: Path) -> None:
    """A barcode held down, a cable that crackles: told by number, and the code right behind it is read whole."""
    with lone_bus(tmp_path) as bus:
        bus.start()
        for secret, long in enumerate((b"9" * (LINE_BYTES_MAX + 1), b"KGO1P:" * 10_000), 1):
            mark = bus.program.mark()
            bus.scanner.send_raw(long + b"\r\n" + rider(secret).code(int(time.time())).encode() + b"\r\n")
            green = bus.program.wait_for(lambda said: said.get("light") == "accepted_cash_due", mark, "a green")
            told = bus.program.wait_for(lambda said: said.get("trouble") == "device", mark, "the line")
            assert green["sequence"] == secret and told["refusal"] == errors.ScanTooLong.number
            assert told["remedy_th"] and told["remedy_en"]
