"""What the town's terminals have signed and what the city has posted of it, reckoned anew from copies of their files.

Shares no code with acceptor, desk or posting, and asks no program. DESIGN §2, §8.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import apsw

from offline_ledger.protocol import cose, device
from offline_ledger.protocol.city import ACK
from offline_ledger.protocol.device import EventKind, VoucherKind
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, OBJECT_BYTES_MAX, Kind
from simulators.demo.reader import KGO, OWNER_SIDE, THB
from simulators.demo.reader_files import EVENT_MASK, REPEAT, first_number, open_copy, rows
from simulators.newest import Newest

REWARD = 7
"""The reason of a posting that gives a wallet its reward out of its owner's money, or takes it back."""
_SIGN = {
    VoucherKind.BOARDING: 1,
    VoucherKind.SALE: 1,
    VoucherKind.COUPON: 1,
    VoucherKind.REFUND: -1,
    VoucherKind.VOID: -1,
    VoucherKind.ANNUL: -1,
}
"""What a kind of voucher does to its owner's money; a cancelled request does nothing."""
_CREDITED = (
    "SELECT coalesce(sum(e.amount), 0) FROM postings p JOIN entries e USING(posting_id) JOIN accounts a"
    f" USING(account_id) WHERE p.device = '{{device}}' AND a.currency = {KGO} AND a.kind IN {OWNER_SIDE}"
    f" AND p.reason {{which}} {REWARD}"
)
_SUMS = "SELECT a.currency, sum(e.amount) FROM entries e JOIN accounts a USING(account_id) GROUP BY a.currency"


class Terminal(NamedTuple):
    """One terminal's. `kgo` and `satang`: net, as it signed them; `credited_kgo`: what the city gave its owner so far,
    `rewarded_kgo`: what its owner gave as rewards. `acked`: vouchers that the city's signed word covers; `posted`:
    those that its ledger has."""

    vouchers: int = 0
    acked: int = 0
    posted: int = 0
    refusals: int = 0
    kgo: int = 0
    satang: int = 0
    credited_kgo: int = 0
    rewarded_kgo: int = 0

    @property
    def pending(self) -> int:
        """Vouchers that only this terminal has."""
        return self.vouchers - self.acked

    @property
    def agrees(self) -> bool:
        """The city has everything and gave its owner as much."""
        return self.vouchers == self.acked == self.posted and self.kgo == self.credited_kgo


class Reading(NamedTuple):
    """`sums`: of all accounts of the ledger, KGO and THB; each must be 0."""

    terminals: Mapping[str, Terminal]
    sums: tuple[int, int] = (0, 0)


class TownBooks:
    """`journals`: device → journal. From any thread."""

    def __init__(self, journals: Mapping[str, Path], ledger: Path, city: str, scratch: Path) -> None:
        self._journals, self._ledger, self._city, self._scratch = journals, ledger, city, scratch
        files: Sequence[Path] = (*journals.values(), ledger)
        self._newest = Newest(files, self._read, Reading({name: Terminal() for name in journals}))

    def reading(self) -> Reading:
        """The newest one."""
        return self._newest.reading()

    def _read(self) -> Reading:
        with closing(open_copy(self._ledger, self._scratch / "ledger")) as ledger:
            found = {name: self._terminal(name, path, ledger) for name, path in self._journals.items()}
            sums = dict(rows(ledger, _SUMS))
        return Reading(found, (sums.get(KGO, 0), sums.get(THB, 0)))

    def _terminal(self, name: str, path: Path, ledger: apsw.Connection) -> Terminal:
        with closing(open_copy(path, self._scratch / name)) as journal:
            bodies = [body for (body,) in rows(journal, f"SELECT body FROM entries WHERE NOT id & {EVENT_MASK}")]
            refused = f"SELECT body FROM entries WHERE id & {EVENT_MASK} AND kind = {int(EventKind.REFUSAL)}"
            refusals = sum(first_number(body) != REPEAT for (body,) in rows(journal, refused))
            acks = rows(journal, "SELECT body FROM acks")
        aad = cose.external_aad(Kind.VOUCHER, self._city)
        made = [device.VOUCHER.decode(cose.parse_sign1(body, aad).payload, OBJECT_BYTES_MAX) for body in bodies]
        ((posted,),) = rows(ledger, f"SELECT count(*) FROM vouchers WHERE device = '{name}'")
        ((credited,),) = rows(ledger, _CREDITED.format(device=name, which="<>"))
        ((rewarded,),) = rows(ledger, _CREDITED.format(device=name, which="="))
        return Terminal(
            vouchers=len(made),
            acked=min(len(made), self._through(acks[0][0])) if acks else 0,
            posted=posted,
            refusals=refusals,
            kgo=sum(_SIGN.get(VoucherKind(one.kind), 0) * one.kgo for one in made),
            satang=sum(_SIGN.get(VoucherKind(one.kind), 0) * one.satang for one in made),
            credited_kgo=credited,
            rewarded_kgo=-rewarded,
        )

    def _through(self, raw: bytes) -> int:
        signed = cose.parse_sign1(raw, cose.external_aad(Kind.ACK, self._city), CITY_OBJECT_BYTES_MAX)
        return ACK.decode(signed.payload, CITY_OBJECT_BYTES_MAX).through_sequence
