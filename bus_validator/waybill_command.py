"""The command `kgo-bus waybill`: asks the running program; reads the journal itself while none runs. DESIGN §6.

Prints to standard output and takes no payment. The journal is opened as every start opens it, under its lock, so that
never two programs have it: a validator that is started in that moment is refused once, and started again.
"""

import sys
from argparse import Namespace

from bus_validator.trip_keeper import WAYBILL_WORD
from bus_validator.waybill_answer import FORMATS, NEWEST, written
from offline_ledger.errors import NotRunning, UsageWrong
from offline_ledger.terminal.commands import OwnCommand
from offline_ledger.terminal.control_commands import asked, told_refusal
from offline_ledger.terminal.program import EXIT_REFUSED, MachineClock, Place
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import Parser


def own_commands() -> tuple[OwnCommand, ...]:
    """What a validator has beside every terminal's commands."""
    return (OwnCommand("waybill", _add, _act),)


def _add(parser: Parser) -> None:
    parser.add_argument("--trip", metavar="TRIP", default=NEWEST)
    parser.add_argument("--format", metavar="FORMAT", default=FORMATS[0])


def _act(place: Place, given: Namespace, texts: Texts) -> int:
    """Returns the exit code. Raises UsageWrong, what `waybill_answer.written` and `Station` raise, and what `asked`
    raises but NotRunning."""
    trip: str = given.trip
    kind: str = given.format
    if not trip or kind not in FORMATS:
        raise UsageWrong((texts.get("usage.waybill", formats=", ".join(FORMATS)),))
    try:
        said = asked(place.path("control.socket"), [WAYBILL_WORD, trip, kind, texts.language])
    except NotRunning:
        sys.stdout.write(_read_ourselves(place, trip, kind, texts.language))
        return 0
    if "written" not in said[0]:
        sys.stderr.write(told_refusal(said[0], texts))
        return EXIT_REFUSED
    sys.stdout.write(str(said[0]["written"]))
    return 0


def _read_ourselves(place: Place, trip: str, kind: str, language: str) -> str:
    station = place.station(MachineClock())
    try:
        return written(station.journal, place.text("device.city"), trip, kind, language)
    finally:
        station.close()
