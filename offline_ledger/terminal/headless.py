"""What headless terminals share: settings table, lamp on standard output, commands on standard input. DESIGN §3.

One JSON object a line goes out for every light and every trouble, with Thai and English texts; one command a line
comes in. Decides nothing; builds no driver.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock, Thread, current_thread, main_thread
from typing import TYPE_CHECKING, TextIO

from offline_ledger.errors import (
    CaFileLost,
    CityCertificateWrong,
    CityRefused,
    CityUnreachable,
    CommandTooLong,
    LampLost,
    Refusal,
)
from offline_ledger.money import format_minor
from offline_ledger.protocol.wallet import CITY_CHARACTERS_MAX, ID_CHARACTERS_MAX
from offline_ledger.settings_file import (
    REQUIRED,
    Check,
    SettingField,
    SettingWrong,
    choice,
    integer,
    path,
    plain_name,
    text,
    url,
)
from offline_ledger.terminal.lines_out import LinesOut, ReaderLost, tell_error
from offline_ledger.terminal.outcome import Charge, Light, Outcome
from offline_ledger.terminal.own_names import KEY_IN_FILE, KEY_IN_TOKEN
from offline_ledger.texts import Texts

if TYPE_CHECKING:
    from offline_ledger.terminal.diagnosis import Part
    from offline_ledger.terminal.status import SyncStatus

CAMERA_CHARACTERS_MAX = 300
CHANNEL_CHARACTERS_MAX = 32


def camera_address() -> Check:
    """An address that the camera driver can open."""

    def check(value: object) -> object:
        from offline_ledger.terminal.camera_address import parse_address  # most terminals have no camera

        given = str(text(CAMERA_CHARACTERS_MAX)(value))
        try:
            parse_address(given)
        except ValueError:
            raise SettingWrong("not_camera") from None
        return given

    return check


SETTINGS = (
    SettingField("device.city", plain_name(CITY_CHARACTERS_MAX), REQUIRED),
    SettingField("device.id", plain_name(ID_CHARACTERS_MAX), REQUIRED),
    SettingField("device.language", choice("th", "en"), "th"),
    SettingField("city.url", url(), REQUIRED),
    SettingField("city.ca_file", path(), REQUIRED),
    SettingField("files.journal", path(), "journal.db"),
    SettingField("files.key", path(), "device.key"),
    SettingField("files.certificate", path(), "device.cert"),
    SettingField("files.trust_list", path(), "trust.list"),
    SettingField("files.deny_list", path(), "deny.list"),
    SettingField("key.kind", choice(KEY_IN_FILE, KEY_IN_TOKEN), KEY_IN_FILE),
    SettingField("key.module", path(), ""),
    SettingField("key.token", text(32), ""),
    SettingField("key.label", text(32), "kgo"),
    SettingField("key.pin_file", path(), ""),
    SettingField("scanner.port", path(), ""),
    SettingField("scanner.suffix", choice("any", "none"), "any"),
    SettingField("camera.address", camera_address(), ""),
    SettingField("camera.width_px", integer(160, 4096), 640),
    SettingField("camera.height_px", integer(120, 4096), 480),
    SettingField("card.reader", choice("none", "any"), "none"),
    SettingField("control.socket", path(), "control.sock"),
    SettingField("clock.rtc", path(), "/sys/class/rtc/rtc0/since_epoch"),
    SettingField("sync.rest_s", integer(1, 3600), 30),
    SettingField("files.update_root", path(), "update.root"),
    SettingField("files.updates", path(), "updates"),
    SettingField("update.url", url(), ""),
    SettingField("update.folder", path(), ""),
    SettingField("update.channel", plain_name(CHANNEL_CHARACTERS_MAX), "stable"),
    SettingField("update.prove_s", integer(1, 600), 20),
)
COMMAND_CHARACTERS_MAX = 200
PIECE_CHARACTERS_MAX = 4_096
STUCK_S_MAX = 1.0
"""So long a light may wait for a reader that reads nothing; after that it counts as lost: nobody sees the light."""
TRAINING_LIGHT = "training"
"""What a training device shows instead of green: its own light, which opens no door and hands over no goods."""
_SELLS_ON = (CityUnreachable, CityCertificateWrong, CaFileLost)
"""Troubles of the link that say: go on selling."""
_GREEN = (Light.ACCEPTED, Light.ACCEPTED_CASH_DUE)


class LineLamp:
    """The lamp of a desk terminal: a JSON line per light. Thread-safe.

    Once nobody reads the lines any more (gone, or stuck with its pipe full), the deciding (main) thread gets LampLost
    at its next light or look: it shall not go on selling unseen. Other threads only find that out; they decide nothing.
    """

    def __init__(self, *, is_training: bool = False) -> None:
        """`is_training`: never green, whatever was decided."""
        self._texts = {one: Texts(one) for one in ("th", "en")}
        self._is_training = is_training
        self._lock = Lock()
        self._heard: list[Mapping[str, object]] | None = None
        self._is_lost = False
        self._never_synced = False
        self._lights = 0
        if _is_closed(sys.stdout):  # Python then has none
            raise LampLost("standard output is closed")
        self._lines = LinesOut(sys.stdout.fileno(), STUCK_S_MAX)

    def show(self, outcome: Outcome, **more: object) -> None:
        """One decision. The voucher is durable already; after this returns the light is on."""
        said: dict[str, object] = {"light": outcome.light.value, "sequence": outcome.sequence}
        if self._is_training and outcome.light in _GREEN:
            said |= {"light": TRAINING_LIGHT, "would_be": outcome.light.value}
        if outcome.charge is not None:
            said |= {"kgo": outcome.charge.kgo, "satang": outcome.charge.satang}
        if outcome.is_uncharged_green:
            said |= {"uncharged": True, **self._cash_unknown(outcome.charge)}
        if outcome.refusal is not None:
            said |= self.refusal_words(outcome.refusal)
        both = {key: f"{more[key]} · {said[key]}" for key in more if key.startswith("line_") and key in said}
        self.say(**(said | more | both))

    def _cash_unknown(self, charge: Charge | None) -> dict[str, object]:
        """The power went between the voucher and the light: whether the cash was taken, only who stood there knows."""
        if charge is None or not charge.satang:
            return {}
        return {"cash": "unknown", **self.line_words([("terminal.cash_unknown", {"due": format_minor(charge.satang)})])}

    def refuse_command(self, refusal: Refusal, sentence: str = "", **values: str) -> None:
        """A command that was not obeyed, with its number, and what to write instead (key of a sentence)."""
        words = self.line_words([(sentence, values)] if sentence else [])
        self.say(command_refused=refusal.key, **self.refusal_words(refusal), **words)

    @property
    def lights(self) -> int:
        """How many were shown."""
        return self._lights

    def working(self, lights_before: int) -> None:
        """A code is read and its light is late; nothing if a light came meanwhile. Not for the deciding thread."""
        self._write({"working": True}, lights_before)

    def trouble(self, what: str, refusal: Refusal, **more: object) -> None:
        """A device or the link is in trouble; no light of a customer changes."""
        self.say(trouble=what, **self.refusal_words(refusal), **_city_words(refusal), **more)

    def trouble_over(self, what: str) -> None:
        """A trouble that was told stands no more."""
        self.say(trouble_over=what)

    def wait(self) -> None:
        """Ready for the next code."""
        self.say(light=Light.WAIT.value)

    def refusal_words(self, refusal: Refusal) -> dict[str, object]:
        """Number, key and both languages."""
        words: dict[str, object] = {"refusal": refusal.number, "key": refusal.key}
        for language, texts in self._texts.items():
            words[f"title_{language}"] = texts.title(refusal)
            words[f"remedy_{language}"] = self._remedy(texts, refusal)
        return words

    def _remedy(self, texts: Texts, refusal: Refusal) -> str:
        """ "Go on selling" is no word for a terminal that has never been able to sell."""
        if self._never_synced and isinstance(refusal, _SELLS_ON):
            return texts.get(f"terminal.never_synced.{refusal.key}")
        return texts.remedy(refusal)

    def part_words(self, part: "Part") -> dict[str, object]:
        """A part as `diagnose` has it: its figures, and what is wrong with it in both languages."""
        troubles = [self.refusal_words(refusal) | {"detail": refusal.detail} for refusal in part.refusals]
        return {"part": part.name, "is_well": not troubles, "facts": dict(part.facts), "troubles": troubles}

    def load_words(self) -> None:
        """Reads both catalogues now; else the first refusal would."""
        self.refusal_words(LampLost())

    def line_words(self, sentences: Sequence[tuple[str, Mapping[str, str]]]) -> dict[str, object]:
        """A line to read out, in both languages: each sentence by its key, with what stands in it."""
        return {
            f"line_{language}": " · ".join(texts.get(key, **values) for key, values in sentences)
            for language, texts in self._texts.items()
            if sentences
        }

    def status(self, status: "SyncStatus", now_s: int, **more: object) -> None:
        """Waiting count, age, last ack: what the badge shows."""
        self._never_synced = status.complete_at_s is None
        trouble: dict[str, object] = {}
        if status.trouble is not None:
            trouble = self.refusal_words(status.trouble) | _city_words(status.trouble)
        self.say(
            status=status.badge.value,
            waiting=status.pending_count,
            oldest_age_s=status.oldest_pending_age_s(now_s),
            synced_age_s=status.synced_age_s(now_s),
            **more,
            **self._rejected_words(status),
            **trouble,
        )

    def _rejected_words(self, status: "SyncStatus") -> dict[str, object]:
        """Nothing while the city took all of it: it hinders no sale, and somebody should ask."""
        if not status.rejected:
            return {}
        numbers = ", ".join(map(str, status.rejected_newest))
        said = {"count": str(len(status.rejected)), "numbers": numbers}
        return {"rejected": len(status.rejected), **self.line_words((("link.rejected", said),))}

    def say(self, **said: object) -> None:
        """One line, out before it returns: the reader at the other end acts on it. Raises LampLost on the main thread,
        at the latest `STUCK_S_MAX` after the reader stopped reading."""
        self._write(said, None)

    def _write(self, said: Mapping[str, object], lights_before: int | None) -> None:
        line = json.dumps(said, ensure_ascii=False)
        with self._lock:
            self._lights += "light" in said
            if self._heard is not None and current_thread() is main_thread():
                self._heard.append(said)
            if not self._is_lost and lights_before in (None, self._lights):
                try:
                    self._lines.write(line + "\n")
                except ReaderLost as lost:
                    self._lose(str(lost))
            self._stop_if_lost()

    def hearing(self, act: Callable[[], None]) -> list[Mapping[str, object]]:
        """What is said while this acts, on the deciding (main) thread; it is out as every line."""
        self._heard = []
        try:
            act()
            return self._heard
        finally:
            self._heard = None

    def check_seen(self) -> None:
        """Is the reader of the lines still there, though nothing is to be said? Raises LampLost on the main thread."""
        if not self._lock.acquire(blocking=False):
            return  # somebody is saying something just now, and finds out himself
        try:
            if not self._is_lost and self._lines.is_reader_gone():
                self._lose("its reader is gone")
            self._stop_if_lost()
        finally:
            self._lock.release()

    def _lose(self, why: str) -> None:
        self._is_lost = True
        _mute_standard_output()
        tell_error(f"standard output: {why}\n")

    def _stop_if_lost(self) -> None:
        if self._is_lost and current_thread() is main_thread():
            raise LampLost()


def _city_words(refusal: Refusal) -> dict[str, object]:
    """What the city itself said: its own number is what its operator can look up."""
    return {"city_said": refusal.detail} if isinstance(refusal, CityRefused) else {}


def _is_closed(stream: object) -> bool:
    """Was this standard stream closed before the program began? Python then has none, whatever its types say."""
    return stream is None


def _mute_standard_output() -> None:
    """What is still buffered goes nowhere, so that the end of the program does not fail on it once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def read_commands(
    obey: Callable[[list[str]], None], refuse: Callable[[Refusal], None], ended: Callable[[], None]
) -> Thread:
    """A thread that hands each line of standard input, in words, to `obey`; `ended` when the input closes. A line over
    `COMMAND_CHARACTERS_MAX` goes to `refuse`, whole: its beginning may be a command that nobody meant."""

    if _is_nobody(sys.stdin):
        return Thread(target=ended)  # never started: a service that gives no input does not end by it

    def read() -> None:
        for line in () if _is_closed(sys.stdin) else _lines(sys.stdin):  # a closed one has ended already
            if line is None:
                refuse(CommandTooLong(f"over {COMMAND_CHARACTERS_MAX} characters"))
            elif words := line.split():
                obey(words)
        ended()

    thread = Thread(target=read, name="commands", daemon=True)
    thread.start()
    return thread


def _is_nobody(stream: object) -> bool:
    """Is this /dev/null, which no person or program ever writes to?"""
    try:
        return stream is not None and os.path.samestat(os.fstat(sys.stdin.fileno()), os.stat(os.devnull))
    except (OSError, ValueError):
        return False


def _lines(stream: TextIO) -> Iterator[str | None]:
    """Each line without its end; None for one that is too long, of which no more than a piece is ever held."""
    while piece := stream.readline(COMMAND_CHARACTERS_MAX + 1):
        is_whole = piece.endswith("\n") or len(piece) <= COMMAND_CHARACTERS_MAX  # the last one may have no end
        yield piece.rstrip("\n") if is_whole else None
        while not is_whole:
            piece = stream.readline(PIECE_CHARACTERS_MAX)
            is_whole = not piece or piece.endswith("\n")
