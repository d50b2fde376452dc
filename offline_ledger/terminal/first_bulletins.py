"""What the city sent with the certificate: tariff, campaigns, deny list, kept as a sync would keep them. DESIGN §4.

A device that has a deny list from its enrolment counts as synced at the moment when its certificate begins: nothing of
it can be waiting, and the city signed both then (decision 0232). Older cities send none; then the first sync brings
them. Decides nothing about the certificate.
"""

from typing import NamedTuple

from offline_ledger.errors import FirstBulletinRefused, Refusal
from offline_ledger.protocol.answer import EnrolmentAnswer
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.terminal.bulletins import take_news
from offline_ledger.terminal.station import Station
from offline_ledger.terminal.sync_record import load_record, store_record


class First(NamedTuple):
    """The kinds that are held now, and what was not taken."""

    kinds: tuple[str, ...]
    refused: tuple[Refusal, ...]


def take_first(station: Station, answer: EnrolmentAnswer) -> First:
    """Done again it changes nothing, and it never brings back what is older. Raises StorageFull, StorageFailed,
    JournalDamaged."""
    found = take_news(answer.bulletins or (), station.bulletins, station.deny, answer.deny_list)
    refused = tuple(FirstBulletinRefused(str(wrong)) for wrong in found.refused)
    if found.lacking is not None:
        refused = (*refused, FirstBulletinRefused("the whole deny list is needed first"))
    record, from_s = load_record(station.journal), station.certificate.not_before_s
    has_deny_list = station.bulletins.deny_list_as_of_s(station.deny.counter) is not None
    if has_deny_list and record.complete_at_s < from_s and not station.journal.tail.sequence:
        store_record(station.journal, record._replace(complete_at_s=from_s))
    held = (kind for kind in BulletinKind if station.bulletins.newest(kind) is not None)
    return First(tuple(kind.name.lower() for kind in held), refused)
