"""What the city gave to wallets, as the books themselves have it, and how much of it was taken back. DESIGN §8.

A gift is known by its wallet and its reason: the same words, whatever their spelling. Nothing is kept beside the
postings, so gifts of earlier versions are known too. Never posts.
"""

import re
from dataclasses import dataclass
from unicodedata import normalize

from offline_ledger.city.accounts import AccountKind, Currency, Reason
from offline_ledger.city.store import Store
from offline_ledger.money import ARABIC

_NIKHAHIT_BEFORE_TONE = re.compile("\u0e4d([\u0e48-\u0e4b])")
_TWO_SARA_E = "\u0e40\u0e40"
_SARA_AE = "\u0e41"


@dataclass(frozen=True, slots=True)
class Gift:
    """One gift of a wallet. `left_kgo`: what was not taken back, above zero."""

    posting_id: int
    kgo: int
    left_kgo: int
    posted_at_s: int


def reason_key(reason: str) -> str:
    """The same for all spellings of one reason: forms of Unicode, capitals, spaces, Thai digits, the two ways to type
    sara am before or after a tone mark, and sara ae typed as two sara e."""
    folded = normalize("NFKC", reason.translate(ARABIC)).casefold()
    typed = _NIKHAHIT_BEFORE_TONE.sub("\\1\u0e4d", folded).replace(_TWO_SARA_E, _SARA_AE)
    return " ".join(normalize("NFKC", typed).split())


def gifts_of(store: Store, wallet_id: int) -> dict[str, list[Gift]]:
    """What stands of this wallet's gifts, and of stand-ins that were joined to it, by `reason_key`; oldest first."""
    rows = store.fetch(
        "SELECT p.posting_id, p.reason, p.note, p.posted_at_s, e.amount FROM accounts a"
        " JOIN entries e USING(account_id) JOIN postings p USING(posting_id)"
        " WHERE a.kind = ?1 AND a.currency = ?2 AND p.reason IN (?3, ?4) AND (a.name = CAST(?5 AS TEXT)"
        " OR a.name IN (SELECT CAST(wallet_id AS TEXT) FROM stand_ins WHERE joined_id = ?5)) ORDER BY p.posting_id",
        (AccountKind.WALLET, Currency.KGO, Reason.GRANT, Reason.GRANT_BACK, wallet_id),
    )
    back_kgo: dict[int, int] = {}
    for _id, reason, note, _at_s, amount in rows:
        if reason == Reason.GRANT_BACK:
            gift_id = gift_taken_back(note)
            back_kgo[gift_id] = back_kgo.get(gift_id, 0) - amount
    found: dict[str, list[Gift]] = {}
    for posting_id, reason, note, at_s, amount in rows:
        left_kgo = amount - back_kgo.get(posting_id, 0)
        if reason == Reason.GRANT and left_kgo > 0:
            found.setdefault(reason_key(note), []).append(Gift(posting_id, amount, left_kgo, at_s))
    return found


def note_of_taking_back(gift: Gift, note: str) -> str:
    """The posting's note: which gift, and the operator's reason."""
    return f"{gift.posting_id}: {note}"


def gift_taken_back(note: str) -> int:
    """The posting id of the gift that `note_of_taking_back` names; 0 for none."""
    digits = note.partition(":")[0]
    return int(digits) if digits.isascii() and digits.isdigit() else 0
