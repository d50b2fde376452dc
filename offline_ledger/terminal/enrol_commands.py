"""`enrol`: by token over the network, by files, or by QR codes to and fro; then what came along. DESIGN §3, §4, §8.

Each way may be cut off anywhere and given again: it goes on with the key that was made, and a request that is written
already is left as it is. Loaded only for this command.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from offline_ledger.errors import AnswerFileWrong, AnswerInvalid, FileTaken, JournalInUse, Refusal
from offline_ledger.files import read_bounded
from offline_ledger.named_files import write_named
from offline_ledger.protocol import cose, qr
from offline_ledger.protocol.answer import ANSWER_BYTES_MAX, decode_answer
from offline_ledger.protocol.device import ENROLMENT, ClockTrust
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.qr import QrType
from offline_ledger.terminal.commands import check_free, usable
from offline_ledger.terminal.enrol import accept_enrolment, ask_city, enrolment_request, own_key
from offline_ledger.terminal.own_identity import check_certificate_name
from offline_ledger.terminal.ports import Uplink
from offline_ledger.terminal.program import MachineClock, Place
from offline_ledger.texts import Texts

STANDARD = "-"


def enrol(place: Place, asked: Namespace, texts: Texts) -> int:
    """The exit code."""
    if asked.request is not None:
        return _write_request(place, asked.request)
    if asked.request_qr is not None:
        return _draw_request(place, asked.request_qr)
    files, clock, uplink = place.files(), MachineClock(), None
    who = (place.text("device.city"), place.text("device.id"), place.role)
    if asked.answer is not None:
        body = _read_answer(asked.answer)
    elif asked.scan:
        from offline_ledger.terminal.answer_scanning import scan_answer

        body = scan_answer(place, cose.key_id_of(own_key(files).point), texts)
    else:
        uplink = place.uplink(clock)
        body = ask_city(files, *who, clock.wall_s(), uplink, asked.token)
    try:
        done = accept_enrolment(files, *who, body)
    except AnswerInvalid as wrong:
        if asked.answer is None:
            raise
        raise AnswerFileWrong(str(asked.answer)) from wrong
    sys.stdout.write(f"{done.certificate.device} {done.certificate.owner} {done.key_id.hex()}\n")
    sys.stdout.flush()
    _take_first(place, clock, body, texts, uplink)
    return 0


def _take_first(place: Place, clock: MachineClock, body: bytes, texts: Texts, uplink: Uplink | None) -> None:
    """Told on standard error. A program that runs already fetches all of it by itself."""
    answer = decode_answer(body)
    if not answer.bulletins:
        return
    from offline_ledger.terminal.first_bulletins import ask_first_time, take_first

    try:
        station = place.station(clock)
    except JournalInUse:
        sys.stderr.write(texts.get("terminal.first.running") + "\n")
        return
    try:
        first = take_first(station, answer)
        if uplink is not None:
            ask_first_time(station, uplink, clock)
        has_time = station.keeper.time().trust > ClockTrust.FLOOR
    finally:
        station.close()
    sys.stderr.write(texts.get("terminal.first.held", kinds=", ".join(first.kinds) or "-") + "\n")
    if not has_time:
        sys.stderr.write(texts.get("terminal.first.no_time") + "\n")
    for wrong in first.refused:
        sys.stderr.write(f"{wrong.number} {texts.title(wrong)}\n  {texts.remedy(wrong)}\n  ({texts.detail(wrong)})\n")


def _write_request(place: Place, file: Path) -> int:
    """`-`: as a code's text on standard output, for a bench that runs this command."""
    if str(file) == STANDARD:
        check_certificate_name(place.files().certificate, place.text("device.city"))
        sys.stdout.write(qr.encode(QrType.ENROLMENT, _request(place)) + "\n")
        return 0
    if _is_request_there(place, file, lambda: read_bounded(file, OBJECT_BYTES_MAX)):
        return 0
    write_named(file, _request(place))
    return 0


def _draw_request(place: Place, file: Path) -> int:
    """The picture, and the same code on this screen, with its text for whoever carries that."""
    from offline_ledger.qr_picture import qr_blocks, qr_picture, texts_in

    texts: list[str] = []

    def drawn() -> bytes | None:
        texts.extend(texts_in(file))
        return qr.decode(texts[0]).objects[0] if len(texts) == 1 else None

    if not _is_request_there(place, file, drawn):
        texts = [qr.encode(QrType.ENROLMENT, _request(place))]
        picture = BytesIO()
        qr_picture(texts[0]).save(picture, format="PNG")
        write_named(file, picture.getvalue())
    sys.stdout.write(f"{qr_blocks(texts[0])}\n{texts[0]}\n")
    return 0


def _is_request_there(place: Place, file: Path, read: Callable[[], bytes | None]) -> bool:
    """Was it written already, by the same command before the power went? Raises FileTaken: another file is there."""
    if not os.path.lexists(file):
        check_free(place, file)
        check_certificate_name(place.files().certificate, place.text("device.city"))
        return False
    try:
        raw = read()
        signed = cose.parse_sign1(raw or b"", cose.external_aad(Kind.ENROLMENT, place.text("device.city")))
        asked = ENROLMENT.decode(signed.payload, OBJECT_BYTES_MAX)
    except (Refusal, OSError, ValueError) as other:
        raise FileTaken(f"{file}: file exists") from other
    if (asked.device, asked.role, asked.point) != (place.text("device.id"), place.role, own_key(place.files()).point):
        raise FileTaken(f"{file}: file exists")
    return True


def _request(place: Place) -> bytes:
    who = (place.text("device.city"), place.text("device.id"), place.role)
    return enrolment_request(own_key(place.files()), *who, MachineClock().wall_s())


def _read_answer(file: Path) -> bytes:
    """`-`: from standard input."""
    if str(file) == STANDARD:
        return sys.stdin.buffer.read(ANSWER_BYTES_MAX + 1)
    with usable(file), file.open("rb") as stream:
        body = stream.read(ANSWER_BYTES_MAX + 1)
    if len(body) > ANSWER_BYTES_MAX:
        raise AnswerFileWrong(f"{file}: over {ANSWER_BYTES_MAX} bytes")
    return body
