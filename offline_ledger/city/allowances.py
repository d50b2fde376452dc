"""Wallets and their allowances: reserve first, then sign; close, release, state what returned. DESIGN §2, §8.

R moves from *available* to the allowance's own *reserved* account before the certificate exists; what is left comes
back after expiry + G, or at once as far as the wallet's signed closing frees it. Never more than two unexpired
allowances, never more reserved than the account's limit. Time and chance are arguments.
"""

from dataclasses import dataclass
from enum import IntEnum

from offline_ledger.city import equivocation, trust, wallet_numbers
from offline_ledger.city.accounts import (
    ISSUANCE,
    AccountKind,
    Books,
    Currency,
    Posting,
    Reason,
    reserved_account,
    wallet_account,
)
from offline_ledger.city.equivocation import ProofKind
from offline_ledger.city.posting_links import note_of_key
from offline_ledger.city.store import Row, Store
from offline_ledger.errors import (
    AccountFrozen,
    AllowancesAtMost,
    BalanceTooLow,
    ClosingInvalid,
    UnknownAllowance,
    WalletUnknown,
)
from offline_ledger.money import format_minor
from offline_ledger.protocol import cose, wallet
from offline_ledger.protocol.city import KeyRole
from offline_ledger.protocol.cose import Signed, Signer
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import STATEMENT_CHARGES_MAX, Allowance, Closing, Medium, Statement
from offline_ledger.rules.civil import civil_day, day_start_s
from offline_ledger.rules.limits import Limits

RELEASES_MAX = 1_000
"""Most allowances that one call of `release_due` ends; the rest is due at the next."""


class AllowanceState(IntEnum):
    """Where an allowance's reserve is."""

    LIVE = 1
    CLOSED = 2
    """R − S went back early; the rest waits for expiry + G."""
    RELEASED = 3


@dataclass(frozen=True, slots=True)
class Wallet:
    """An account. `frozen`: 0 no, 1 until review, 2 confirmed."""

    wallet_id: int
    account_point: bytes
    concession: int
    medium: int
    frozen: int


@dataclass(frozen=True, slots=True)
class Issued:
    """A stored allowance."""

    hash: bytes
    pass_id: bytes
    wallet_id: int
    raw: bytes
    wallet_point: bytes
    reserve_kgo: int
    expires_at_s: int
    state: AllowanceState
    closing: bytes | None
    closed_n: int | None
    closed_sum_kgo: int | None
    duplicates: int
    returned_kgo: int


_ISSUED = (
    "SELECT hash, pass_id, wallet_id, raw, wallet_point, reserve_kgo, expires_at_s, state, closing, closed_n,"
    " closed_sum_kgo, duplicates, returned_kgo FROM allowances"
)


def _issued(row: Row) -> Issued:
    return Issued(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        row[5],
        row[6],
        AllowanceState(row[7]),
        row[8],
        row[9],
        row[10],
        row[11],
        row[12],
    )


def register(
    store: Store, account_point: bytes, concession: int, medium: int, grant_kgo: int, now_s: int, name: str = ""
) -> Wallet:
    """Opens an account and posts the registering grant once; registering again changes nothing."""
    with store.transaction():
        known = store.one("SELECT wallet_id FROM wallets WHERE account_point = ?", (account_point,))
        if known is None:
            opened_s = day_start_s(civil_day(now_s))  # to the second it would say more than anybody needs
            wallet_id = store.insert(
                "INSERT INTO wallets(wallet_id, account_point, concession, medium, registered_at_s, name)"
                " VALUES(?, ?, ?, ?, ?, ?)",
                (wallet_numbers.next_number(store), account_point, concession, medium, opened_s, name),
            )
            from_issuance = Posting(
                Reason.GRANT,
                ((ISSUANCE, -grant_kgo), (wallet_account(wallet_id), grant_kgo)),
                note=note_of_key(account_point),
            )
            books = Books(store, now_s)
            books.post(from_issuance)
            books.write()
        return wallet_of(store, account_point)


def wallet_of(store: Store, account_point: bytes) -> Wallet:
    """The account of this key. Raises WalletUnknown."""
    row = store.one(
        "SELECT wallet_id, account_point, concession, medium, frozen FROM wallets WHERE account_point = ?",
        (account_point,),
    )
    if row is None:
        raise WalletUnknown(account_point.hex()[:16])
    return Wallet(*row)


def issued_by_hash(store: Store, allowance_hash: bytes) -> Issued | None:
    """The allowance with this identity."""
    row = store.one(f"{_ISSUED} WHERE hash = ?", (allowance_hash,))
    return None if row is None else _issued(row)


def issued_by_hashes(store: Store, hashes: list[bytes]) -> dict[bytes, Issued]:
    """Those of `hashes` that exist."""
    return {row[0]: _issued(row) for row in store.fetch_in(f"{_ISSUED} WHERE hash IN (?*)", hashes)}


def of_wallet(store: Store, wallet_id: int) -> list[Issued]:
    """All allowances of an account, newest expiry last."""
    return [
        _issued(row) for row in store.fetch(f"{_ISSUED} WHERE wallet_id = ? ORDER BY expires_at_s, hash", (wallet_id,))
    ]


def balances(store: Store, wallet_id: int) -> tuple[int, int]:
    """(available, reserved) in 1/100 KGO."""
    with store.snapshot():
        books = Books(store, 0)
        reserved = sum(books.balance(reserved_account(issued.hash)) for issued in of_wallet(store, wallet_id))
        return books.balance(wallet_account(wallet_id)), reserved


def issue(
    store: Store, signer: Signer, account_point: bytes, wallet_point: bytes, pass_id: bytes, limits: Limits, now_s: int
) -> Signed:
    """A new allowance for `wallet_point`, with min(R, available) moved to its reserve first. `pass_id`: a phone's new
    one; a card keeps the one it had, for its key is the same as well.

    Asked again with the same wallet key (a lost answer), the same allowance comes back. One whose issuer key was
    compromised is refused everywhere: it neither counts nor comes back, but its reserve waits as any other, for what
    terminals accepted before they knew. Raises WalletUnknown, AccountFrozen, AllowancesAtMost, BalanceTooLow.
    """
    with store.transaction():
        owner = wallet_of(store, account_point)
        if owner.frozen:
            raise AccountFrozen(f"wallet {owner.wallet_id}")
        release_due(store, limits, now_s, owner.wallet_id)
        held = of_wallet(store, owner.wallet_id)
        usable = _signed_by_others(store, [one for one in held if one.expires_at_s >= now_s], _compromised(store))
        live = [issued for issued in usable if issued.state is AllowanceState.LIVE]
        for issued in live:
            if issued.wallet_point == wallet_point and owner.medium != Medium.CARD:
                return cose.parse_sign1(issued.raw, cose.external_aad(Kind.ALLOWANCE, store.city))
        if len(usable) >= limits.allowances_live_max:
            raise AllowancesAtMost(f"{len(live)} unexpired")
        books = Books(store, now_s)
        reserved_kgo = sum(books.balance(reserved_account(issued.hash)) for issued in held)
        room_kgo = min(books.balance(wallet_account(owner.wallet_id)), limits.reserved_account_kgo_max - reserved_kgo)
        reserve_kgo = min(limits.reserve_kgo, room_kgo)
        if reserve_kgo <= 0:
            raise BalanceTooLow(f"{format_minor(room_kgo)} KGO free")
        allowance = Allowance(
            city=store.city,
            pass_id=_lasting_pass_id(owner.medium, held, wallet_point) or pass_id,
            wallet_point=wallet_point,
            reserve_kgo=reserve_kgo,
            transit_cap_kgo=limits.one_way_transit_kgo_max,
            shop_cap_kgo=limits.one_way_shop_kgo_max,
            concession=owner.concession,
            medium=owner.medium,
            not_before_s=now_s,
            expires_at_s=now_s + limits.allowance_life_s,
        )
        aad = cose.external_aad(Kind.ALLOWANCE, store.city)
        signed = cose.sign1(wallet.ALLOWANCE.encode(allowance), aad, cose.key_id_of(signer.point), signer.sign)
        add_allowance(store, books, signed, allowance, owner.wallet_id, now_s)
        books.write()
    return signed


def _lasting_pass_id(medium: int, held: list[Issued], wallet_point: bytes) -> bytes | None:
    """What a card was known by before; a phone is known by nothing for long."""
    if medium != Medium.CARD:
        return None
    return next((issued.pass_id for issued in held if issued.wallet_point == wallet_point), None)


def _compromised(store: Store) -> frozenset[bytes]:
    """Ids of the issuer keys that verify nothing any more; none without a trust list."""
    held = trust.newest(store)
    keys = held.trust_list.trusted_keys() if held is not None else ()
    return frozenset(
        cose.key_id_of(key.point) for key in keys if key.role == KeyRole.ALLOWANCE_ISSUER and key.is_revoked
    )


def _signed_by_others(store: Store, found: list[Issued], key_ids: frozenset[bytes]) -> list[Issued]:
    """Those that none of these keys signed."""
    aad = cose.external_aad(Kind.ALLOWANCE, store.city)
    return [one for one in found if not key_ids or cose.parse_sign1(one.raw, aad).key_id not in key_ids]


def add_allowance(
    store: Store, books: Books, signed: Signed, allowance: Allowance, wallet_id: int, now_s: int
) -> Issued:
    """The row and the reserve of an allowance; *available* may go below zero when it is rebuilt after a restore."""
    reserved = reserved_account(signed.identity)
    entries = ((wallet_account(wallet_id), -allowance.reserve_kgo), (reserved, allowance.reserve_kgo))
    books.post(Posting(Reason.RESERVE, entries))
    store.execute(
        "INSERT INTO allowances(hash, pass_id, wallet_id, raw, wallet_point, reserve_kgo, not_before_s, expires_at_s,"
        " issued_at_s, reserved_id, state) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            signed.identity,
            allowance.pass_id,
            wallet_id,
            signed.raw,
            allowance.wallet_point,
            allowance.reserve_kgo,
            allowance.not_before_s,
            allowance.expires_at_s,
            now_s,
            books.account_id(reserved),
            AllowanceState.LIVE,
        ),
    )
    equivocation.deny_if_frozen(store, wallet_id, now_s)  # one that is rebuilt may be a frozen account's
    found = issued_by_hash(store, signed.identity)
    assert found is not None
    return found


def close(store: Store, raw: bytes, now_s: int) -> int:
    """Ends an allowance early by the wallet's signed closing; R − S returns at once. What returned, in 1/100 KGO.

    The same closing again returns the same. A closing that contradicts what is posted is equivocation: stored, the
    account frozen, nothing returned. Raises ClosingInvalid, UnknownAllowance.
    """
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.CLOSING, store.city))
    closing = wallet.CLOSING.decode(signed.payload, OBJECT_BYTES_MAX)
    with store.transaction():
        issued = issued_by_hash(store, closing.allowance_hash)
        if issued is None:
            raise UnknownAllowance(closing.allowance_hash.hex()[:16])
        if not cose.is_signature_of(signed, cose.verify_key(issued.wallet_point)):
            raise ClosingInvalid("signature")
        if issued.closing is not None:
            first = cose.parse_sign1(issued.closing, cose.external_aad(Kind.CLOSING, store.city))
            if first.identity == signed.identity:
                return issued.returned_kgo
        if issued.state is not AllowanceState.LIVE:
            raise ClosingInvalid("not live")
        contradiction = _beyond(store, issued, closing, signed)
        if contradiction is None:
            return _close(store, issued, closing, signed, now_s)
        equivocation.store_proof(store, contradiction, now_s, wallet_id=issued.wallet_id)
        equivocation.freeze_wallet(store, issued.wallet_id, equivocation.CLOSED_BELOW, now_s)
    raise ClosingInvalid("contradicts what was posted")


def _beyond(store: Store, issued: Issued, closing: Closing, signed: Signed) -> equivocation.Contradiction | None:
    row = store.one(
        "SELECT object, object_kind FROM spends WHERE hash = ? AND (n > ? OR sum_kgo + authorised_kgo > ?) LIMIT 1",
        (issued.hash, closing.last_n, closing.final_sum_kgo),
    )
    if row is None:
        return None
    kind = Kind(row[1])
    spent = cose.parse_sign1(row[0], cose.external_aad(kind, store.city))
    return equivocation.wallet_contradiction(
        ProofKind.BEYOND_CLOSING, issued.raw, (Kind.CLOSING, signed), (kind, spent)
    )


def _close(store: Store, issued: Issued, closing: Closing, signed: Signed, now_s: int) -> int:
    books = Books(store, now_s)
    reserved = reserved_account(issued.hash)
    free_kgo = max(0, min(issued.reserve_kgo - closing.final_sum_kgo, books.balance(reserved)))
    entries = ((reserved, -free_kgo), (wallet_account(issued.wallet_id), free_kgo))
    books.post(Posting(Reason.CLOSING, entries))
    books.write()
    store.execute(
        "UPDATE allowances SET state = ?, closing = ?, closed_n = ?, closed_sum_kgo = ?, returned_kgo = ?"
        " WHERE hash = ?",
        (AllowanceState.CLOSED, signed.raw, closing.last_n, closing.final_sum_kgo, free_kgo, issued.hash),
    )
    return free_kgo


def release_due(store: Store, limits: Limits, now_s: int, wallet_id: int | None = None) -> int:
    """Returns what is left of every reserve past expiry + G to its wallet; how many allowances ended."""
    with store.transaction():
        rows = store.fetch(
            f"{_ISSUED} WHERE state < 3 AND expires_at_s < ? AND (? IS NULL OR wallet_id = ?)"
            " ORDER BY expires_at_s LIMIT ?",
            (now_s - limits.reserve_grace_s, wallet_id, wallet_id, RELEASES_MAX),
        )
        books = Books(store, now_s)
        for row in rows:
            issued = _issued(row)
            reserved = reserved_account(issued.hash)
            left_kgo = books.balance(reserved)
            entries = ((reserved, -left_kgo), (wallet_account(issued.wallet_id), left_kgo))
            books.post(Posting(Reason.RELEASE, entries))
            store.execute(
                "UPDATE allowances SET state = ?, returned_kgo = returned_kgo + ? WHERE hash = ?",
                (AllowanceState.RELEASED, left_kgo, issued.hash),
            )
        books.write()
        # a pass that has expired everywhere needs no place on the deny list
        store.execute("DELETE FROM denied WHERE expires_at_s < ?", (now_s - limits.reserve_grace_s,))
    return len(rows)


def statement(store: Store, signer: Signer, allowance_hash: bytes, now_s: int) -> Signed:
    """The ledger's signed word on one allowance: each posted n and what the wallet paid for it in the end, refunds and
    what day close gave back taken off; and what has returned so far. Of more than STATEMENT_CHARGES_MAX the highest n
    are listed, and the rest is one sum.

    Raises UnknownAllowance.
    """
    with store.transaction():
        issued = issued_by_hash(store, allowance_hash)
        if issued is None:
            raise UnknownAllowance(allowance_hash.hex()[:16])
        rows = store.fetch(
            "SELECT s.n, -coalesce(sum(e.amount), 0) FROM spends s LEFT JOIN postings p"
            " ON p.device = s.device AND p.sequence = s.sequence AND p.reason <> ? LEFT JOIN entries e"
            " ON e.posting_id = p.posting_id AND e.account_id IN (SELECT account_id FROM accounts"
            " WHERE currency = ? AND (kind IN (?, ?) AND name = ? OR kind = ? AND name = ?))"
            " WHERE s.hash = ? AND s.counts = 1 GROUP BY s.n ORDER BY s.n",
            (
                *(Reason.REWARD, Currency.KGO, AccountKind.WALLET, AccountKind.DEPOSIT, str(issued.wallet_id)),
                *(AccountKind.RESERVED, allowance_hash.hex(), allowance_hash),
            ),
        )
        charges = tuple((int(row[0]), int(row[1])) for row in rows)
        before, listed = charges[:-STATEMENT_CHARGES_MAX], charges[-STATEMENT_CHARGES_MAX:]
        earlier = (len(before), sum(kgo for _n, kgo in before)) if before else None
        said = Statement(allowance_hash, now_s, listed, issued.returned_kgo, earlier)
        aad = cose.external_aad(Kind.STATEMENT, store.city)
        signed = cose.sign1(wallet.STATEMENT.encode(said), aad, cose.key_id_of(signer.point), signer.sign)
        store.execute("REPLACE INTO statements VALUES(?, ?, ?)", (allowance_hash, signed.raw, now_s))
    return signed
