"""What is said to a card, without a reader: whole taps, every byte cut, every status word, cards of others."""

from collections.abc import Callable
from pathlib import Path

import pytest

from offline_ledger.errors import (
    CardAllowanceClosed,
    CardAllowanceExpired,
    CardAnswerWrong,
    CardBlocked,
    CardPurseTooSmall,
    CardRequestWrong,
    CardTorn,
    CardVersionUnknown,
    CardWithoutAllowance,
    ForeignBankCard,
    ForeignCard,
    ForeignIdCard,
    ForeignTransitCard,
    Refusal,
)
from offline_ledger.protocol.card import CHAIN_BYTES_MAX, CLA_MORE, DECLINED, VERSION, Ins, Status, select
from offline_ledger.terminal.drivers.card_talk import CardTalk
from simulators.card import foreign
from simulators.card.applet import Applet
from simulators.card.foreign import ForeignSort
from simulators.card.purse import PurseFile
from tests.card.desk import NOW_S, challenge_for, initialising, new_card, read_allowance, request_for, say

PASS_ID = bytes.fromhex("c0ffee0000000001")
NONCE = bytes(range(16))


class Wire:
    """Passes APDUs to a card; `change` may alter an answer, by its number."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self.asked: list[bytes] = []
        self.answers: list[bytes] = []
        self.change: Callable[[int, bytes], bytes] = lambda _number, answer: answer

    def __call__(self, apdu: bytes) -> bytes:
        self.asked.append(apdu)
        answer = self.change(len(self.answers), self._answer(apdu))
        self.answers.append(answer)
        return answer


def tap(wire: Wire, asked: bytes | None = None, extended: bool = False) -> bytes | Refusal:
    talk = CardTalk(wire, extended=extended)
    offer = talk.read()
    allowance, _ = read_allowance(offer.allowance)
    return talk.ask(asked or request_for(allowance.pass_id, NONCE).raw)


def test_a_tap_is_four_commands(tmp_path: Path) -> None:
    wire = Wire(new_card(tmp_path).answer)
    payment = tap(wire)
    assert isinstance(payment, bytes) and payment.startswith(b"\xd2\x84")
    assert [apdu[1] for apdu in wire.asked] == [Ins.SELECT, Ins.READ_ALLOWANCE, Ins.READ_LAST_PAYMENT, Ins.PAY]
    again = CardTalk(Wire(Applet(PurseFile(tmp_path / "card-1.json"), 1).answer)).read()
    assert again.last_payment == payment


@pytest.mark.parametrize(("extended", "commands"), [(False, 5), (True, 4)])
def test_a_long_request_goes_in_parts_unless_both_can_do_better(tmp_path: Path, extended: bool, commands: int) -> None:
    wire = Wire(new_card(tmp_path).answer)
    challenge = challenge_for(PASS_ID, NONCE)
    assert isinstance(tap(wire, challenge, extended), bytes)
    wire = Wire(new_card(tmp_path, seed=2).answer)
    assert isinstance(tap(wire, b"\xd2" + bytes(300), extended), CardRequestWrong)
    assert len(wire.asked) == commands


def test_answers_in_parts_and_with_the_wrong_length(tmp_path: Path) -> None:
    applet = new_card(tmp_path, answer_bytes_max=60)
    inner = Wire(applet.answer)

    def fussy(apdu: bytes) -> bytes:
        """A T=0 reader: it wants the exact length of what a plain read gives."""
        return b"\x6c\x3c" if apdu[1] == Ins.READ_ALLOWANCE and apdu[-1] != 60 else inner(apdu)

    wire = Wire(fussy)
    assert isinstance(tap(wire), bytes)
    assert bytes((0x80, Ins.READ_ALLOWANCE, 0, 0, 60)) in wire.asked
    assert sum(apdu[1] == Ins.GET_RESPONSE for apdu in wire.asked) > 3


def test_a_wish_for_a_length_in_the_middle_of_a_chain_changes_no_byte_of_it(tmp_path: Path) -> None:
    """The last byte there is the request's, and no wish for a length."""
    inner = new_card(tmp_path).answer
    wire = Wire(lambda apdu: b"\x6c\x10" if apdu[0] == CLA_MORE else inner(apdu))
    with pytest.raises(CardAnswerWrong, match="6C10"):
        tap(wire, b"\xd2" + bytes(300))
    assert [apdu[0] for apdu in wire.asked].count(CLA_MORE) == 1


def test_an_answer_without_end_is_no_answer(tmp_path: Path) -> None:
    def endless(apdu: bytes) -> bytes:
        return bytes(255) + b"\x61\xff"

    with pytest.raises(CardAnswerWrong):
        CardTalk(endless).read()
    with pytest.raises(CardAnswerWrong):
        CardTalk(lambda _apdu: b"\x61\x01").read()


def test_every_answer_cut_at_every_byte_is_torn_and_never_a_refusal(tmp_path: Path) -> None:
    """A reader without checks of its own passes such an answer on as a whole one (vpcd does)."""
    wire = Wire(new_card(tmp_path, seed=1).answer)
    tap(wire)
    sizes = [len(answer) for answer in wire.answers]
    cuts = [(number, size) for number, whole in enumerate(sizes) for size in range(whole)]
    assert len(cuts) > 370
    for seed, (number, size) in enumerate(cuts, start=2):
        gone: list[int] = []
        wire = Wire(new_card(tmp_path, seed).answer)

        def change(at: int, answer: bytes, number: int = number, size: int = size, gone: list[int] = gone) -> bytes:
            if at == number or gone:
                gone.append(at)
                return answer[:size] if len(gone) == 1 else b""
            return answer

        wire.change = change
        with pytest.raises(CardTorn):
            tap(wire)


# --- what the card says


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status.PURSE_TOO_SMALL, CardPurseTooSmall),
        (Status.EXPIRED, CardAllowanceExpired),
        (Status.CLOSED, CardAllowanceClosed),
        (Status.OTHER_PASS, CardRequestWrong),
        (Status.DATA_WRONG, CardRequestWrong),
        (Status.BLOCKED, CardBlocked),
        (Status.COUNTER_ENDED, CardBlocked),
        (Status.NOTHING_STORED, CardWithoutAllowance),
    ],
)
def test_a_card_that_signs_nothing_declines(tmp_path: Path, status: Status, kind: type[Refusal]) -> None:
    wire = Wire(new_card(tmp_path).answer)
    wire.change = lambda number, answer: int(status).to_bytes(2, "big") if number == 3 else answer
    assert status in DECLINED and type(tap(wire)) is kind


@pytest.mark.parametrize(("status", "kind"), [(Status.MEMORY_FAILED, CardBlocked), (0x6F00, CardAnswerWrong)])
def test_a_card_that_may_have_signed_does_not_decline(tmp_path: Path, status: int, kind: type[Refusal]) -> None:
    wire = Wire(new_card(tmp_path).answer)
    wire.change = lambda number, answer: int(status).to_bytes(2, "big") if number == 3 else answer
    with pytest.raises(kind):
        tap(wire)


def test_the_applets_own_refusals(tmp_path: Path) -> None:
    poor = new_card(tmp_path, reserve_kgo=4_999)
    assert isinstance(tap(Wire(poor.answer)), CardPurseTooSmall)
    late = request_for(PASS_ID, NONCE, at_s=NOW_S + 170_001).raw
    assert isinstance(tap(Wire(poor.answer), late), CardAllowanceExpired)
    assert isinstance(tap(Wire(poor.answer), request_for(b"another!", NONCE).raw), CardRequestWrong)
    poor.answer(select())
    assert say(poor, Ins.CLOSE)[1] == Status.OK
    assert isinstance(tap(Wire(poor.answer)), CardAllowanceClosed)


def test_cards_that_are_not_ready(tmp_path: Path) -> None:
    applet = Applet(PurseFile(tmp_path / "card.json"), 1)
    with pytest.raises(CardWithoutAllowance, match="state 0"):
        tap(Wire(applet.answer))
    assert say(applet, Ins.INITIALISE, initialising())[1] == Status.OK
    with pytest.raises(CardWithoutAllowance, match="state 1"):
        tap(Wire(applet.answer))
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(CardBlocked):
        tap(Wire(applet.answer))


def test_an_applet_of_a_later_version(tmp_path: Path) -> None:
    with pytest.raises(CardVersionUnknown):
        tap(Wire(new_card(tmp_path, version=VERSION + 1).answer))


def test_a_request_too_long_for_this_card_is_not_sent(tmp_path: Path) -> None:
    wire = Wire(new_card(tmp_path).answer)
    assert isinstance(tap(wire, b"\xd2" + bytes(CHAIN_BYTES_MAX)), CardAnswerWrong)
    assert len(wire.asked) == 3


def test_what_is_read_must_be_signed_objects(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        wire = Wire(new_card(tmp_path, number).answer)
        wire.change = lambda at, answer, number=number: b"hello\x90\x00" if at == number else answer
        with pytest.raises(CardAnswerWrong):
            tap(wire)


# --- cards of others


@pytest.mark.parametrize(
    ("sort", "kind"),
    [
        (ForeignSort.BANK, ForeignBankCard),
        (ForeignSort.STORAGE, ForeignTransitCard),
        (ForeignSort.FELICA, ForeignTransitCard),
        (ForeignSort.DESFIRE, ForeignTransitCard),
        (ForeignSort.CALYPSO, ForeignTransitCard),
        (ForeignSort.IDENTITY, ForeignIdCard),
        (ForeignSort.PASSPORT, ForeignIdCard),
        (ForeignSort.UNKNOWN, ForeignCard),
    ],
)
def test_a_card_of_others_is_named_and_nothing_of_it_is_read(sort: ForeignSort, kind: type[Refusal]) -> None:
    held = foreign.ForeignCard(sort)
    with pytest.raises(kind) as told:
        CardTalk(held.answer, held.atr).read()
    assert type(told.value) is kind
    assert {apdu[1] for apdu in held.asked} == {Ins.SELECT} and len(held.asked) <= 6
    assert held.asked[0] == select()


def test_a_card_of_others_that_leaves_meanwhile_is_torn() -> None:
    held = foreign.ForeignCard(ForeignSort.BANK)
    wire = Wire(held.answer)
    wire.change = lambda number, answer: b"" if number == 1 else answer
    with pytest.raises(CardTorn):
        CardTalk(wire).read()
