"""The validator's own parts of the self-test, built from its settings: screen, GPS receiver. Decision 0241.

Part of the composition root, as `devices` is. Loaded when a self-test is asked for.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from bus_validator.boarding import TRIP_META, decode_trip
from bus_validator.drivers.displays import FILE, opener_of, parse_screen
from bus_validator.drivers.gps import GpsSettings, SerialGps
from bus_validator.drivers.screen import Screen
from bus_validator.face import Theme
from bus_validator.self_test_page import DARK, FILLS, LIGHT, FillPage, Picture, SelfTestPage
from bus_validator.trip import SHIFT_META, decode_shift
from offline_ledger.errors import DisplayWrong, GpsMute, GpsNoFix, Refusal, ScreenLost, SelfTestTripOpen
from offline_ledger.terminal.selftest.command import Ground, More, Taking
from offline_ledger.terminal.selftest.desk import modules
from offline_ledger.terminal.selftest.plan import Step
from offline_ledger.terminal.selftest.runner import Check, Facts, Part
from offline_ledger.terminal.selftest.turn import Asked, Turn
from offline_ledger.texts import Texts

SHOWN_S_MAX = 5.0
"""The first picture loads Pillow and fonts."""
LOOK_S = 0.05


def check_idle(ground: Ground) -> None:
    """No trip, and nobody whose green is still to be settled. Raises SelfTestTripOpen, JournalDamaged."""
    if ground.station is None:
        return
    run = decode_shift(ground.station.journal.meta_get(SHIFT_META)).run
    if run is not None:
        raise SelfTestTripOpen(f"route {run.route}, trip {run.trip}")
    kept = ground.station.journal.meta_get(TRIP_META)
    if kept:
        trip = decode_trip(kept)
        raise SelfTestTripOpen(f"route {trip.route}, trip {trip.trip}")
    if waiting := ground.station.acceptor.unratified.sequences():
        raise SelfTestTripOpen(f"{len(waiting)} vouchers")


def more(ground: Ground) -> More:
    """Screen and receiver, as the settings name them."""
    place = ground.place
    folder = place.settings_file.parent
    port = place.text("head.port")
    display = DisplayPart(_screen(ground), ground.texts)
    gps_port = place.text("gps.port")
    gps = GpsPart(str(folder / gps_port) if gps_port else "", place.number("gps.baud"))
    return More(
        screens=() if display.screen is None else (ScreenBoard(display.screen, ground.texts),),
        seen=(display.part(),),
        parts=(gps.part(),),
        head_port=str(folder / port) if port else "",
        is_covered=display.trouble,
        close=display.close,
    )


TAKING = Taking(check_idle, more)


def _screen(ground: Ground) -> Screen | None:
    """Started; None: none is named."""
    place = ground.place
    named = place.text("screen.address")
    if not named:
        return None
    address = parse_screen(named)
    if address.kind == FILE:
        address = address._replace(where=str(place.settings_file.parent / Path(address.where)))
    size = place.number("screen.width_px"), place.number("screen.height_px")
    screen = Screen(opener_of(address, *size), Theme(place.text("screen.theme")))
    screen.start()
    return screen


def cover_words() -> str:
    """TEST, in both languages, whatever the device speaks: passengers read it."""
    return " · ".join(Texts(language).get("selftest.cover") for language in ("th", "en"))


class ShowsPages(Protocol):
    """A screen (`drivers.screen.Screen`)."""

    def show(self, face: Picture) -> None: ...


class ScreenBoard:
    """The validator's screen as a board of the self-test."""

    def __init__(self, screen: ShowsPages, texts: Texts) -> None:
        self._screen, self._texts = screen, texts

    def show(self, asked: Asked) -> None:
        """Until the next one; returns at once."""
        line = self._texts.get(asked.key, **asked.values)
        how = self._texts.get("selftest.buttons") if asked.is_question else ""
        self._screen.show(SelfTestPage(cover_words(), line, how, asked.id, code_rows(asked.code)))


def code_rows(text: str) -> tuple[str, ...]:
    """A QR code as the page has it; nothing for no text."""
    return tuple("".join(DARK if dark else LIGHT for dark in row) for row in modules(text)) if text else ()


class DisplayPart:
    """The screen: does a picture reach the glass, and what does a person see there?"""

    def __init__(self, screen: Screen | None, texts: Texts) -> None:
        self.screen, self._texts = screen, texts

    def part(self) -> Part:
        """Its checks."""
        is_fitted = self.screen is not None
        shown = Step("display", "shows", is_fitted=is_fitted)
        seen = Step(
            *("display", "thai"), is_asked=True, needs_hands=True, needs=("display.shows",), is_fitted=is_fitted
        )
        return Part(
            "display",
            (
                Check(shown, self._shows),
                Check(seen, self._thai, DisplayWrong, self.trouble),
                Check(seen._replace(name="dots"), self._dots, DisplayWrong, self.trouble),
            ),
        )

    def trouble(self) -> Refusal | None:
        """Why no picture reaches the glass; None: it does, or there is no screen."""
        if self.screen is None:
            return None
        health = self.screen.health()
        return (health.trouble or ScreenLost("no picture")) if health.is_lost else None

    def close(self) -> None:
        """The last page stays on the glass: nobody is to tap at a device whose program is stopped."""
        if self.screen is not None:
            self.screen.close(SelfTestPage(cover_words(), self._texts.get("selftest.over")))

    def _shown(self, picture: SelfTestPage | FillPage, turn: Turn) -> Facts:
        """When it is on the glass. Raises what the screen's trouble is."""
        screen = self.screen
        assert screen is not None
        before = screen.health().pictures
        screen.show(picture)
        turn.wait(lambda: screen.health().pictures > before or self._has_failed(), SHOWN_S_MAX)
        if (trouble := self.trouble()) is not None:
            raise trouble
        health = screen.health()
        return {"size": list(health.size or ()), "drawn_us": health.drawn_us, "pushed_us": health.pushed_us}

    def _has_failed(self) -> bool:
        return self.screen is not None and self.screen.health().trouble is not None

    def _shows(self, turn: Turn) -> Facts:
        return self._shown(SelfTestPage(cover_words(), "display.shows"), turn)

    def _thai(self, turn: Turn) -> Facts:
        turn.rest(turn.times.look_s)
        return {}

    def _dots(self, turn: Turn) -> Facts:
        for colour, is_below in FILLS:
            self._shown(FillPage(cover_words(), colour, is_below), turn)
            turn.rest(turn.times.fill_s)
        return {"colours": len(FILLS)}


class GpsPart:
    """The receiver: do sentences come, and does it know where it is?"""

    def __init__(self, port: str, baud: int) -> None:
        self._port, self._baud = port, baud
        self._gps: SerialGps | None = None

    def part(self) -> Part:
        """Its checks."""
        sentences = Step("gps", "sentences", is_fitted=bool(self._port))
        fix = sentences._replace(name="fix", needs=("gps.sentences",))
        return Part("gps", (Check(sentences, self._sentences), Check(fix, self._fix)), self._close)

    def _opened(self) -> SerialGps:
        if self._gps is None:
            self._gps = SerialGps(GpsSettings(self._port, self._baud))
            self._gps.open()
        return self._gps

    def _polled(self, gps: SerialGps, troubles: list[Refusal]) -> None:
        gps.poll(LOOK_S)
        troubles.extend(gps.take_refusals())

    def _until(self, turn: Turn, is_so: Callable[[SerialGps], bool], wait_s: float) -> list[Refusal]:
        """What was wrong while it was waited for."""
        gps, troubles = self._opened(), list[Refusal]()

        def look() -> bool:
            self._polled(gps, troubles)
            return is_so(gps)

        return [] if turn.wait(look, wait_s) else troubles or [GpsMute(f"{self._port}: {self._baud}")]

    def _sentences(self, turn: Turn) -> Facts:
        wrong = self._until(turn, lambda gps: gps.health().sentences > 1, turn.times.sentence_s)
        if wrong:
            raise wrong[-1]
        health = self._opened().health()
        return {"sentences": health.sentences, "bad_lines": health.bad_lines}

    def _fix(self, turn: Turn) -> Facts:
        wrong = self._until(turn, lambda gps: gps.last_fix is not None, turn.times.fix_s)
        if wrong:
            raise wrong[-1] if not isinstance(wrong[-1], GpsMute) else GpsNoFix(f"{turn.times.fix_s:.0f} s")
        health = self._opened().health()
        return {"satellites": health.satellites, "fix_age_s": health.fix_age_s}

    def _close(self) -> None:
        if self._gps is not None:
            self._gps.close()
