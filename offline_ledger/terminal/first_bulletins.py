"""What the city sent with the certificate: tariff, campaigns, deny list, kept as a sync would keep them. DESIGN §4.

The city's signed time too, where there is a network: a clock chip counts from then on (decision 0232).

A device that has a deny list from its enrolment counts as synced at the moment when its certificate begins, once, and
only with a key that it made itself and has not used: nothing of it can be waiting then, here or at the city (decision
0246). Older cities send none; then the first sync brings them. Decides nothing about the certificate.
"""

import os
from typing import NamedTuple

from offline_ledger.errors import FirstBulletinRefused, Refusal, StorageFailed, StorageFull
from offline_ledger.protocol.answer import EnrolmentAnswer
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.wallet import NONCE_BYTES
from offline_ledger.terminal.bulletins import take_news
from offline_ledger.terminal.ports import Clock, Uplink
from offline_ledger.terminal.station import Station
from offline_ledger.terminal.sync_record import load_record, store_record
from offline_ledger.terminal.sync_wire import HTTP_OK, ask_time, read_time_answer


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
    if has_deny_list and station.mark.is_key_new:
        if record.complete_at_s < from_s and not station.journal.tail.sequence:
            store_record(station.journal, record._replace(complete_at_s=from_s))
        station.mark.key_is_used()  # a power cut before this: the same command again comes here
    held = (kind for kind in BulletinKind if station.bulletins.newest(kind) is not None)
    return First(tuple(kind.name.lower() for kind in held), refused)


def ask_first_time(station: Station, uplink: Uplink, clock: Clock) -> None:
    """As a sync does. No answer changes nothing: the first sync asks again. Raises StorageFull, StorageFailed."""
    certificate, nonce = station.certificate, os.urandom(NONCE_BYTES)
    sent_mono_ms = clock.mono_ms()
    try:
        answer = uplink.exchange(ask_time(certificate.device, nonce))
        received_mono_ms = clock.mono_ms()
        if answer.status != HTTP_OK:
            return
        said = read_time_answer(answer.body, certificate.city, certificate.device, nonce, station.trust.held)
    except (StorageFull, StorageFailed):
        raise
    except Refusal:
        return
    station.keeper.heard_time_answer(said.issued_at_s, sent_mono_ms, received_mono_ms)
