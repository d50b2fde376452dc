"""The applet as docs/card.md says: every command in every state, every status word, both sides of each edge, no reader.

What the chip reads along its fixed layouts is held against `protocol/`, which reads the same objects as CBOR.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import Refusal
from offline_ledger.protocol import card, cose, device, wallet
from offline_ledger.protocol.card import AID, Ins, Status, commands_for, extended_command, select
from offline_ledger.protocol.card_info import EXTENDED, AppletState, decode_info, tlv
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Closing, WalletRequest
from simulators.card import walk
from simulators.card.applet import N_MAX, TAG_CITY, TAG_ISSUER, Applet
from simulators.card.loading import uncompressed
from simulators.card.purse import PurseFile, WriteStage
from simulators.keys import SimulatedKey
from tests.card.desk import (
    AAD,
    CITY,
    DEVICE_TEST_ONLY,
    FARE_KGO,
    ISSUER_TEST_ONLY,
    NOW_S,
    allowance_for,
    challenge_for,
    initialising,
    new_card,
    read_allowance,
    read_payment,
    request_for,
    say,
)

STRANGER_TEST_ONLY = SimulatedKey(0xBAD)
PASS_ID = bytes.fromhex("c0ffee0000000001")
NONCE = bytes(range(16))


def switched_on(applet: Applet) -> Applet:
    assert applet.answer(select())[-2:] == b"\x90\x00"
    return applet


def blank(folder: Path) -> Applet:
    return switched_on(Applet(PurseFile(folder / "blank.json"), 7))


def personalised(folder: Path) -> tuple[Applet, bytes]:
    applet = blank(folder)
    data, status = say(applet, Ins.INITIALISE, initialising())
    assert status == Status.OK
    return applet, data[2:]


def loaded(folder: Path, reserve_kgo: int = 50_000) -> Applet:
    return switched_on(new_card(folder, reserve_kgo=reserve_kgo))


def closed(folder: Path) -> Applet:
    applet = loaded(folder)
    assert say(applet, Ins.CLOSE)[1] == Status.OK
    return applet


def pay(applet: Applet, nonce: bytes = NONCE, **changes: int) -> tuple[bytes, int]:
    return say(applet, Ins.PAY, request_for(PASS_ID, nonce, **changes).raw)


# --- states


STATES: dict[str, Callable[[Path], Applet]] = {
    "blank": blank,
    "personalised": lambda folder: personalised(folder)[0],
    "loaded": loaded,
    "closed": closed,
}
REQUEST = request_for(PASS_ID, NONCE).raw
NO, EMPTY, OK = Status.NOT_NOW, Status.NOTHING_STORED, Status.OK


@pytest.mark.parametrize(
    ("ins", "data", "expected"),
    [
        (Ins.READ_ALLOWANCE, b"", [EMPTY, EMPTY, OK, OK]),
        (Ins.READ_LAST_PAYMENT, b"", [EMPTY, EMPTY, EMPTY, EMPTY]),
        (Ins.PAY, REQUEST, [NO, EMPTY, OK, Status.CLOSED]),
        (Ins.AUTHENTICATE, challenge_for(PASS_ID, NONCE), [NO, EMPTY, OK, OK]),
        (Ins.SIGN_ASK, b"\xa5", [NO, Status.DATA_WRONG, Status.DATA_WRONG, Status.DATA_WRONG]),
        (Ins.CLOSE, b"", [NO, EMPTY, OK, OK]),
        (Ins.INITIALISE, initialising(), [OK, NO, NO, NO]),
        (Ins.STORE_ALLOWANCE, b"\xd2", [NO, Status.DATA_WRONG, Status.DATA_WRONG, Status.DATA_WRONG]),
    ],
)
def test_every_command_in_every_state(tmp_path: Path, ins: Ins, data: bytes, expected: list[Status]) -> None:
    for (name, make), status in zip(STATES.items(), expected, strict=True):
        (tmp_path / name).mkdir()
        assert say(make(tmp_path / name), ins, data)[1] == status, name


@pytest.mark.parametrize("name", STATES)
def test_select_says_the_state(tmp_path: Path, name: str) -> None:
    info = decode_info(STATES[name](tmp_path).answer(select())[:-2])
    assert AppletState(info.state).name.lower() == name
    assert info == (card.VERSION, EXTENDED, card.CHAIN_BYTES_MAX, info.state)


# --- envelopes


@pytest.mark.parametrize(
    ("apdu", "status"),
    [
        ("00A40400", Status.NOT_FOUND),
        ("00A4040005A00000000300", Status.NOT_FOUND),
        ("8011000000", Status.INS_UNKNOWN),
        ("0010000000", Status.CLA_UNKNOWN),
        ("C010000000", Status.CLA_UNKNOWN),
        ("8010010000", Status.PARAMETERS_WRONG),
        ("8010000100", Status.PARAMETERS_WRONG),
        ("801000", Status.WRONG_LENGTH),
        ("80200000050102", Status.WRONG_LENGTH),
        ("802000000101", Status.DATA_WRONG),
    ],
)
def test_what_is_no_command_of_ours(tmp_path: Path, apdu: str, status: Status) -> None:
    assert loaded(tmp_path).answer(bytes.fromhex(apdu)) == int(status).to_bytes(2, "big")


def test_nothing_is_answered_before_select_nor_after_the_power_went(tmp_path: Path) -> None:
    applet = loaded(tmp_path)
    assert say(applet, Ins.READ_ALLOWANCE)[1] == Status.OK
    applet.reset()
    assert say(applet, Ins.READ_ALLOWANCE)[1] == Status.INS_UNKNOWN
    assert applet.answer(select(AID[:-1] + b"\0")) == b"\x6a\x82"
    assert say(applet, Ins.READ_ALLOWANCE)[1] == Status.INS_UNKNOWN


def test_a_chain_is_one_command_and_a_broken_one_is_none(tmp_path: Path) -> None:
    applet = loaded(tmp_path)
    half = len(REQUEST) // 2
    first = bytes((card.CLA_MORE, Ins.PAY, 0, 0, half)) + REQUEST[:half]
    last = bytes((card.CLA, Ins.PAY, 0, 0, len(REQUEST) - half)) + REQUEST[half:] + b"\0"
    assert applet.answer(first) == b"\x90\x00"
    assert applet.answer(commands_for(Ins.READ_ALLOWANCE)[0]) == b"\x68\x83"
    assert applet.answer(last) == b"\x6a\x80", "the chain was forgotten"
    assert applet.answer(first) == b"\x90\x00"
    assert applet.answer(last)[-2:] == b"\x90\x00"
    part = bytes((card.CLA_MORE, Ins.PAY, 0, 0, 255)) + bytes(255)
    assert [applet.answer(part) for _ in range(3)] == [b"\x90\x00", b"\x90\x00", b"\x67\x00"]


def test_an_extended_command_pays_the_same(tmp_path: Path) -> None:
    applet = loaded(tmp_path)
    answer = applet.answer(extended_command(Ins.PAY, REQUEST))
    assert (answer[:-2], Status.OK) == pay(applet)


def test_a_long_answer_is_fetched_in_parts(tmp_path: Path) -> None:
    applet = switched_on(new_card(tmp_path, answer_bytes_max=100))
    held = applet.file.load().allowance
    found = applet.answer(commands_for(Ins.READ_ALLOWANCE)[0])
    assert found[-2:] == bytes((0x61, len(held) - 100)) and len(found) == 102
    rest = applet.answer(card.get_response(len(held) - 100))
    assert found[:-2] + rest[:-2] == held and rest[-2:] == b"\x90\x00"


# --- paying


def test_a_payment_is_what_any_wallet_signs(tmp_path: Path) -> None:
    applet = loaded(tmp_path)
    allowance, signed = read_allowance(say(applet, Ins.READ_ALLOWANCE)[0])
    request = request_for(PASS_ID, NONCE)
    raw, status = say(applet, Ins.PAY, request.raw)
    assert status == Status.OK
    assert read_payment(raw, allowance) == (signed.identity, 1, 0, request.identity, FARE_KGO, NOW_S)
    parsed = cose.parse_sign1(raw, AAD[Kind.PAYMENT])
    assert parsed.key_id == cose.key_id_of(allowance.wallet_point)
    assert wallet.PAYMENT.encode(read_payment(raw, allowance)) == parsed.payload
    assert say(applet, Ins.READ_LAST_PAYMENT) == (raw, Status.OK)


def test_the_same_request_is_the_same_payment_whatever_came_since(tmp_path: Path) -> None:
    applet = loaded(tmp_path, reserve_kgo=FARE_KGO)
    first = pay(applet)
    before = applet.file.load()
    assert pay(applet) == first
    applet.reset()
    switched_on(applet)
    assert pay(applet) == first
    assert say(applet, Ins.CLOSE)[1] == Status.OK
    assert pay(applet) == first, "closed, and the purse is empty"
    again = cose.sign1(
        request_for(PASS_ID, NONCE).payload, AAD[Kind.PAYMENT_REQUEST], DEVICE_TEST_ONLY.key_id, lambda _: bytes(64)
    )
    assert say(applet, Ins.PAY, again.raw) == first, "another signature over the same request is the same request"
    assert applet.file.load()._replace(closing=b"") == before


def test_another_request_is_a_new_n_and_s_holds_all_before(tmp_path: Path) -> None:
    applet = loaded(tmp_path)
    allowance, _ = read_allowance(say(applet, Ins.READ_ALLOWANCE)[0])
    amounts = [1_000, 0, 5_000, 2_500]
    found = [
        read_payment(pay(applet, bytes((at,)) * 16, amount_kgo=kgo)[0], allowance) for at, kgo in enumerate(amounts)
    ]
    assert [(one.n, one.sum_kgo, one.amount_kgo) for one in found] == [
        (1, 0, 1_000),
        (2, 1_000, 0),
        (3, 1_000, 5_000),
        (4, 6_000, 2_500),
    ]


@pytest.mark.parametrize(("left_kgo", "status"), [(0, Status.OK), (-1, Status.PURSE_TOO_SMALL)])
def test_the_purse_to_the_last_satang(tmp_path: Path, left_kgo: int, status: Status) -> None:
    applet = loaded(tmp_path, reserve_kgo=12_000 + left_kgo)
    assert pay(applet, b"1" * 16, amount_kgo=7_000)[1] == Status.OK
    before = applet.file.load()
    assert pay(applet, b"2" * 16, amount_kgo=5_000)[1] == status
    assert (applet.file.load() == before) is (status is not Status.OK)


@pytest.mark.parametrize(("late_s", "status"), [(0, Status.OK), (1, Status.EXPIRED)])
def test_the_allowances_last_second(tmp_path: Path, late_s: int, status: Status) -> None:
    applet = loaded(tmp_path)
    end_s = read_allowance(say(applet, Ins.READ_ALLOWANCE)[0])[0].expires_at_s
    assert pay(applet, at_s=end_s + late_s)[1] == status


def test_another_cards_request_is_not_paid(tmp_path: Path) -> None:
    applet = loaded(tmp_path)
    assert say(applet, Ins.PAY, request_for(b"another!", NONCE).raw)[1] == Status.OTHER_PASS
    said = device.PAYMENT_REQUEST.decode(request_for(PASS_ID, NONCE).payload, OBJECT_BYTES_MAX)._replace(pass_id=None)
    payload = device.PAYMENT_REQUEST.encode(said)
    for_all = cose.sign1(payload, AAD[Kind.PAYMENT_REQUEST], bytes(8), DEVICE_TEST_ONLY.sign)
    assert say(applet, Ins.PAY, for_all.raw)[1] == Status.DATA_WRONG
    assert applet.file.load().n == 0


def test_n_has_an_end(tmp_path: Path) -> None:
    applet = loaded(tmp_path)
    applet.file.keep(applet.file.load()._replace(n=N_MAX - 1))
    assert pay(applet, b"1" * 16)[1] == Status.OK
    assert pay(applet, b"2" * 16)[1] == Status.COUNTER_ENDED


def test_an_object_of_another_kind_or_city_is_no_other_request(tmp_path: Path) -> None:
    """The identity binds kind and city: what the payment names is a request of this city and nothing else."""
    applet = loaded(tmp_path)
    payload = request_for(PASS_ID, NONCE).payload
    elsewhere = cose.sign1(payload, cose.external_aad(Kind.PAYMENT_REQUEST, "TH-30"), bytes(8), DEVICE_TEST_ONLY.sign)
    raw, _ = say(applet, Ins.PAY, elsewhere.raw)
    allowance, _ = read_allowance(say(applet, Ins.READ_ALLOWANCE)[0])
    assert read_payment(raw, allowance).request_hash != elsewhere.identity


# --- the power


@pytest.mark.parametrize(("stage", "has_paid"), [(WriteStage.BEFORE, 0), (WriteStage.ASIDE, 0), (WriteStage.AFTER, 1)])
def test_the_power_goes_during_the_write(tmp_path: Path, stage: WriteStage, has_paid: int) -> None:
    applet = loaded(tmp_path)

    def cut(at: WriteStage) -> None:
        if at is stage:
            raise InterruptedError

    applet.file.on_write = cut
    with pytest.raises(InterruptedError):
        pay(applet)
    again = switched_on(Applet(PurseFile(tmp_path / "card-1.json"), 1))
    assert again.file.load().n == has_paid
    assert say(again, Ins.READ_LAST_PAYMENT)[1] == (Status.OK if has_paid else Status.NOTHING_STORED)
    assert pay(again)[1] == Status.OK
    assert again.file.load().n == 1


def test_a_damaged_store_blocks_the_card(tmp_path: Path) -> None:
    applet = loaded(tmp_path)
    path = tmp_path / "card-1.json"
    path.write_text(path.read_text().replace('"n": 0', '"n": 9'))
    assert applet.answer(select()) == b"\x62\x83"
    assert pay(applet)[1] in (Status.BLOCKED, Status.INS_UNKNOWN)
    path.write_text("{")
    assert applet.answer(select()) == b"\x62\x83"


# --- the desk


def test_a_card_makes_its_own_key_and_keeps_to_it(tmp_path: Path) -> None:
    applet, point = personalised(tmp_path)
    assert cose.verify_key(point).point == point
    assert say(applet, Ins.INITIALISE, initialising(STRANGER_TEST_ONLY))[1] == Status.NOT_NOW
    other = switched_on(Applet(PurseFile(tmp_path / "other.json"), 8))
    assert say(other, Ins.INITIALISE, initialising())[0][2:] != point


@pytest.mark.parametrize(
    "data",
    [
        b"",
        tlv(TAG_CITY, b"TH-40"),
        tlv(TAG_ISSUER, uncompressed(ISSUER_TEST_ONLY.point)),
        tlv(TAG_CITY, b"") + tlv(TAG_ISSUER, uncompressed(ISSUER_TEST_ONLY.point)),
        initialising() + tlv(0x01, b""),
        initialising() + tlv(TAG_CITY, b"TH-30"),
        initialising(*(SimulatedKey(at) for at in range(5))),
        tlv(TAG_CITY, b"TH-40") + tlv(TAG_ISSUER, ISSUER_TEST_ONLY.point),
        tlv(TAG_CITY, b"TH-40") + tlv(TAG_ISSUER, b"\x04" + bytes(64)),
        initialising()[:-1],
    ],
    ids=range(10),
)
def test_a_card_is_not_made_half_ready(tmp_path: Path, data: bytes) -> None:
    applet = blank(tmp_path)
    assert say(applet, Ins.INITIALISE, data)[1] == Status.DATA_WRONG
    assert say(applet, Ins.INITIALISE, initialising())[1] == Status.OK


def test_any_of_its_issuers_may_load_it(tmp_path: Path) -> None:
    applet = blank(tmp_path)
    point = say(applet, Ins.INITIALISE, initialising(STRANGER_TEST_ONLY, ISSUER_TEST_ONLY))[0][2:]
    assert say(applet, Ins.STORE_ALLOWANCE, allowance_for(point).raw)[1] == Status.OK


def test_only_a_newer_allowance_of_its_own_and_its_citys_is_stored(tmp_path: Path) -> None:
    applet, point = personalised(tmp_path)
    first = allowance_for(point)
    wrong = [
        (allowance_for(STRANGER_TEST_ONLY.point), Status.DATA_WRONG),
        (allowance_for(point, city="TH-30"), Status.DATA_WRONG),
        (allowance_for(point, issuer=STRANGER_TEST_ONLY), Status.SIGNATURE_WRONG),
        (allowance_for(point, reserve_kgo=walk.AMOUNT_MAX + 1), Status.DATA_WRONG),
    ]
    for forged, status in wrong:
        assert say(applet, Ins.STORE_ALLOWANCE, forged.raw) == (b"", status)
    assert say(applet, Ins.STORE_ALLOWANCE, first.raw[:-1] + bytes((first.raw[-1] ^ 1,)))[1] == Status.SIGNATURE_WRONG
    assert say(applet, Ins.STORE_ALLOWANCE, first.raw)[1] == Status.OK
    assert pay(applet)[1] == Status.OK
    kept = applet.file.load()
    assert say(applet, Ins.STORE_ALLOWANCE, first.raw)[1] == Status.OK, "its answer was torn: nothing moves"
    for same_time in (allowance_for(point, reserve_kgo=60_000), allowance_for(point, not_before_s=NOW_S - 3_601)):
        assert say(applet, Ins.STORE_ALLOWANCE, same_time.raw)[1] == Status.NOT_NEWER
    assert applet.file.load() == kept
    assert say(applet, Ins.STORE_ALLOWANCE, allowance_for(point, not_before_s=NOW_S - 3_599).raw)[1] == Status.OK
    assert say(applet, Ins.READ_LAST_PAYMENT)[1] == Status.NOTHING_STORED
    allowance, _ = read_allowance(say(applet, Ins.READ_ALLOWANCE)[0])
    assert read_payment(pay(applet, b"2" * 16)[0], allowance)[1:3] == (1, 0), "n and S begin anew"


def test_a_closing_is_the_last_word(tmp_path: Path) -> None:
    applet = loaded(tmp_path)
    assert pay(applet)[1] == Status.OK
    raw, _ = say(applet, Ins.CLOSE)
    allowance, signed = read_allowance(say(applet, Ins.READ_ALLOWANCE)[0])
    parsed = cose.parse_sign1(raw, AAD[Kind.CLOSING])
    assert cose.is_signature_of(parsed, cose.verify_key(allowance.wallet_point))
    said = wallet.CLOSING.decode(parsed.payload, OBJECT_BYTES_MAX)
    assert said == Closing(signed.identity, 1, FARE_KGO)
    assert say(applet, Ins.CLOSE) == (raw, Status.OK)
    assert pay(applet, b"2" * 16)[1] == Status.CLOSED


def test_it_asks_the_city_in_its_own_name_alone(tmp_path: Path) -> None:
    applet, point = personalised(tmp_path)

    def ask(account: bytes, of: bytes, closing: bytes | None = None, body: bytes | None = None) -> int:
        said = wallet.WALLET_REQUEST.encode(WalletRequest(2, account, of, NONCE, NOW_S, body, closing))
        raw, status = say(applet, Ins.SIGN_ASK, said)
        if status == Status.OK:
            signed = cose.parse_sign1(raw, AAD[Kind.WALLET_REQUEST])
            assert signed.payload == said and cose.is_signature_of(signed, cose.verify_key(point))
        return status

    stranger = STRANGER_TEST_ONLY.point
    assert ask(point, point) == ask(point, point, closing=bytes(150)) == Status.OK
    assert ask(stranger, point) == ask(point, stranger) == ask(point, point, body=bytes(32)) == Status.DATA_WRONG


def test_it_proves_its_chip_for_its_own_pass_alone(tmp_path: Path) -> None:
    applet = loaded(tmp_path)
    allowance, _ = read_allowance(say(applet, Ins.READ_ALLOWANCE)[0])
    before = applet.file.load()
    challenge = challenge_for(PASS_ID, NONCE)
    raw, status = say(applet, Ins.AUTHENTICATE, challenge)
    signed = cose.parse_sign1(raw, AAD[Kind.CARD_CHALLENGE])
    assert status == Status.OK and signed.payload == challenge
    assert cose.is_signature_of(signed, cose.verify_key(allowance.wallet_point))
    for kind in Kind:  # it passes for nothing else
        if kind is not Kind.CARD_CHALLENGE:
            assert not cose.is_signature_of(cose.parse_sign1(raw, AAD[kind]), cose.verify_key(allowance.wallet_point))
    assert say(applet, Ins.AUTHENTICATE, challenge_for(b"another!", NONCE))[1] == Status.DATA_WRONG
    assert say(applet, Ins.AUTHENTICATE, challenge + b"\0")[1] == Status.DATA_WRONG
    assert applet.file.load() == before


# --- the fixed layouts against the readers of protocol/

IDS = st.text("aกZ🚌-1", min_size=1, max_size=32)
AMOUNTS = st.one_of(st.integers(0, walk.AMOUNT_MAX), st.sampled_from([0, 23, 24, 255, 256, 65_535, 65_536, 2**31 - 1]))
TIMES = st.one_of(st.integers(0, walk.TIME_S_MAX), st.sampled_from([0, 23, 24, 2**32 - 1]))


@given(IDS, IDS, AMOUNTS, AMOUNTS, IDS, TIMES, TIMES)
def test_every_request_is_walked_as_it_is_read(
    name: str, owner: str, kgo: int, satang: int, what: str, at_s: int, until_s: int
) -> None:
    said = device.PaymentRequest(name, owner, kgo, satang, what, NONCE, at_s, until_s, PASS_ID)
    signed = cose.sign1(device.PAYMENT_REQUEST.encode(said), AAD[Kind.PAYMENT_REQUEST], bytes(8), lambda _: bytes(64))
    found = walk.read_request(signed.raw, CITY.encode(), Kind.PAYMENT_REQUEST)
    assert found == (signed.identity, kgo, at_s, PASS_ID)


@given(st.integers(1, N_MAX), AMOUNTS, AMOUNTS, TIMES)
def test_every_payment_is_written_as_it_is_read(n: int, sum_kgo: int, kgo: int, at_s: int) -> None:
    payload = walk.payment_payload(bytes(32), n, sum_kgo, bytes(range(32)), kgo, at_s)
    assert wallet.PAYMENT.decode(payload, OBJECT_BYTES_MAX) == (bytes(32), n, sum_kgo, bytes(range(32)), kgo, at_s)


def test_what_the_reader_refuses_the_walk_refuses(rng: Random) -> None:
    """Bytes changed at random: whatever the chip takes, `protocol/` reads as the same, letters of texts aside."""
    raw = request_for(PASS_ID, NONCE).raw
    letters = {raw.index(word) + at for word in (b"bus-1", b"OP-1", b"T1") for at in range(len(word))}
    taken = 0
    for _ in range(4_000):
        changed = bytearray(raw)
        at = rng.randrange(len(raw))
        changed[at] = rng.randrange(256)
        mutant = bytes(changed[: rng.choice([len(raw), len(raw), rng.randrange(len(raw))])])
        try:
            found = walk.read_request(mutant, CITY.encode(), Kind.PAYMENT_REQUEST)
        except walk.WalkError:
            continue
        signed = cose.parse_sign1(mutant, AAD[Kind.PAYMENT_REQUEST])
        assert signed.identity == found.identity
        try:
            said = device.PAYMENT_REQUEST.decode(signed.payload, OBJECT_BYTES_MAX)
        except Refusal:
            assert at in letters
            continue
        taken += 1
        assert (said.amount_kgo, said.at_s, said.pass_id) == (found.amount_kgo, found.at_s, found.pass_id)
    assert taken > 500


@pytest.mark.parametrize(
    "wrong",
    ["18", "1817", "1900ff", "1a0000ffff", "1b0000000100000000", "1a80000000", "20", "f5", ""],
)
def test_numbers_are_in_their_shortest_form_and_fit_a_chip(wrong: str) -> None:
    with pytest.raises(walk.WalkError):
        walk.Walk(bytes.fromhex(wrong)).uint(walk.AMOUNT_MAX)
