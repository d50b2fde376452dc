"""What is said to one card in one tap: who are you, what do you hold, pay this. docs/card.md "One tap".

Over any way to exchange APDUs. A card of others is asked only whether it is a bank's, a transit system's or an identity
card, so that its holder is told so. Never decides, never retries: a tap that breaks off is told by its refusal.
"""

from collections.abc import Callable

from offline_ledger.errors import CardAnswerWrong, CardBlocked, CardWithoutAllowance, Refusal
from offline_ledger.protocol.card import (
    ANSWER_BYTES_MAX,
    CHAIN_BYTES_MAX,
    CLA_MORE,
    DECLINED,
    GET_RESPONSES_MAX,
    SW1_MORE,
    SW1_WRONG_LE,
    Answer,
    Ins,
    Status,
    check_whole,
    commands_for,
    extended_command,
    get_response,
    instruction_for,
    refusal_of,
    select,
    split_answer,
)
from offline_ledger.protocol.card_foreign import PROBES, ForeignKind, answers_to, kind_of_atr, refusal_for
from offline_ledger.protocol.card_info import EXTENDED, AppletInfo, AppletState, decode_info
from offline_ledger.terminal.card_desk import CardOffer

Exchange = Callable[[bytes], bytes]


class CardTalk:
    """One presence of one card. `exchange` sends an APDU and returns what came back; it raises refusals."""

    def __init__(self, exchange: Exchange, atr: bytes = b"", *, extended: bool = False) -> None:
        self._exchange = exchange
        self._atr = atr
        self._wants_extended = extended
        self._info: AppletInfo | None = None

    def read(self) -> CardOffer:
        """SELECT, the allowance, the last payment. Raises CardBlocked, CardWithoutAllowance, CardVersionUnknown,
        CardAnswerWrong, the foreign ones, and what `exchange` raises."""
        said = self._ask([select()])
        if said.status == Status.BLOCKED:
            raise CardBlocked("at SELECT")
        if said.status != Status.OK:
            raise self._foreign(said.status)
        self._info = decode_info(said.data)
        if self._info.state not in (AppletState.LOADED, AppletState.CLOSED):
            raise CardWithoutAllowance(f"state {self._info.state}")
        allowance = self._ask(commands_for(Ins.READ_ALLOWANCE))
        if allowance.status != Status.OK:
            raise refusal_of(allowance.status)
        last = self._ask(commands_for(Ins.READ_LAST_PAYMENT))
        if last.status not in (Status.OK, Status.NOTHING_STORED):
            raise refusal_of(last.status)
        has_paid = last.status == Status.OK
        return CardOffer(check_whole(allowance.data), check_whole(last.data) if has_paid else None)

    @property
    def version(self) -> int | None:
        """The applet's, once it has said it; None: not yet, or no card of ours."""
        return None if self._info is None else self._info.version

    def ask(self, asked: bytes) -> bytes | Refusal:
        """The signed payment for a signed request (or the proof for a challenge), or why the card gives none. Raises
        what `exchange` raises, CardAnswerWrong, and CardTorn for half an answer: then a payment may exist."""
        assert self._info is not None, "read first"
        if len(asked) > min(self._info.chain_bytes_max, CHAIN_BYTES_MAX):
            return CardAnswerWrong(f"takes {self._info.chain_bytes_max} of {len(asked)} bytes")
        ins = instruction_for(asked)
        is_extended = self._wants_extended and self._info.capabilities & EXTENDED
        said = self._ask([extended_command(ins, asked)] if is_extended else commands_for(ins, asked))
        if said.status in DECLINED:
            return refusal_of(said.status)
        if said.status != Status.OK:
            raise refusal_of(said.status)
        return check_whole(said.data)

    def _ask(self, commands: list[bytes]) -> Answer:
        """The whole answer to the last of a chain, or the first status on the way that is not OK."""
        answer = Answer(b"", Status.OK)
        for apdu in commands:
            answer = self._one(apdu)
            if answer.status != Status.OK:
                break
        return answer

    def _one(self, apdu: bytes) -> Answer:
        answer = split_answer(self._exchange(apdu))
        if answer.status >> 8 == SW1_WRONG_LE and apdu[0] != CLA_MORE:  # reader or card wants the exact length
            answer = split_answer(self._exchange(apdu[:-1] + bytes((answer.status & 0xFF,))))
        data = answer.data
        for _ in range(GET_RESPONSES_MAX):
            if answer.status >> 8 != SW1_MORE:
                return Answer(data, answer.status)
            answer = split_answer(self._exchange(get_response(answer.status & 0xFF)))
            data += answer.data
            if len(data) > ANSWER_BYTES_MAX:
                break
        raise CardAnswerWrong(f"more than {ANSWER_BYTES_MAX} bytes")

    def _foreign(self, status: int) -> Refusal:
        kind = kind_of_atr(self._atr)
        if kind is ForeignKind.UNKNOWN:
            kind = next((probe.kind for probe in PROBES if self._answers_to(probe.aid)), kind)
        return refusal_for(kind, f"status {status:04X}")

    def _answers_to(self, aid: bytes) -> bool:
        raw = self._exchange(select(aid))
        split_answer(raw[-2:])  # a blocked card of others may warn behind its data
        return answers_to(int.from_bytes(raw[-2:], "big"))
