"""The hands of the town's people: phones before the shop's scanner and display, cables, paper, power. DESIGN §11.

A code reaches the till only as a picture that the scanner's decoder reads; a till's request reaches a phone only from
the pixels of the customer's display. Judges nothing.
"""

import io
import time
import warnings
from threading import Lock

from PIL import Image, UnidentifiedImageError

from offline_ledger.errors import Refusal
from offline_ledger.money import format_minor
from offline_ledger.protocol.wallet import Audience
from offline_ledger.texts import Texts
from simulators.bus_desk.hands import Busy
from simulators.demo.desk import is_light
from simulators.demo.processes import DeadlinePassed, Said, ToolFailed
from simulators.demo.town import Person
from simulators.printer.device import Fault
from simulators.qr_picture import qr_picture
from simulators.scanner import PictureUnreadable, read_picture
from simulators.town_desk.display import NothingShown, photographed
from simulators.town_desk.town import TownDesk
from simulators.town_desk.words import NEW, Asked, read_line
from simulators.wallet import IntentEnded, WalletClosed, WalletOffline, WalletRefused

LIGHT_S_MAX = 6.0
"""A light comes within a fraction of a second; what is no code for the till has none."""
PIXELS_MAX = 25_000_000
"""A large screen's picture."""
FORMATS = ("PNG", "JPEG", "WEBP")
AUDIT_CHARACTERS_MAX = 600


class Unfit(Exception):
    """This cannot be done now; why, in both languages."""

    def __init__(self, thai: str, english: str) -> None:
        super().__init__(english)
        self.thai, self.english = thai, english


class TownHands:
    """From any thread; one person at a time stands before the scanner. `act` and `hold` raise Unfit and Busy."""

    def __init__(self, town: TownDesk) -> None:
        self._town = town
        self._scanner, self._switches = Lock(), Lock()
        self._newest = ""
        self._texts = {language: Texts(language) for language in ("th", "en")}
        self._phone: bytes = b""
        self._shown = 0

    @property
    def phone(self) -> tuple[int, bytes]:
        """Number and PNG of what a phone showed last; 0: none did."""
        return self._shown, self._phone

    @property
    def is_busy(self) -> bool:
        """Does somebody stand before the scanner?"""
        return self._scanner.locked()

    def left_kgo(self) -> dict[str, str]:
        """What each phone can still authorise."""
        return {name: format_minor(one.wallet.left_kgo) for name, one in dict(self._town.bus.town.people).items()}

    def act(self, line: str) -> Said:
        """One line; what came of it. Raises ValueError for what is no action, and Unfit, Busy."""
        asked = read_line(line)
        try:
            return self._act(asked)
        except (NothingShown, DeadlinePassed, ToolFailed, OSError) as trouble:
            raise Unfit("ทำไม่ได้ตอนนี้", str(trouble)) from trouble
        except IntentEnded as ended:
            raise Unfit("โค้ดนี้หมดอายุแล้ว กดแสดงโค้ดใหม่", "this code has ended: show a new one") from ended
        except WalletClosed as closed:
            raise Unfit("วงเงินนี้ปิดแล้ว กดรับวงเงินใหม่", "this allowance is closed: take a new one") from closed
        except WalletOffline as offline:
            raise Unfit("โทรศัพท์ไม่มีเครือข่าย", "the phone has no network") from offline
        except WalletRefused as refused:
            raise Unfit(f"เมืองไม่รับ ({refused.number})", f"the city refused: {refused}") from refused
        except Refusal as refusal:
            return self._refused(refusal)

    def hold(self, picture: bytes) -> Said | None:
        """A picture before the scanner's lens; what the till said. None: nothing can be read in it. Raises Unfit for
        what is no picture."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                opened = Image.open(io.BytesIO(picture), formats=FORMATS)
                if opened.width * opened.height > PIXELS_MAX:
                    raise Unfit("ภาพใหญ่เกินไป", f"more than {PIXELS_MAX} pixels")
                seen = opened.convert("L")
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombWarning) as unfit:
            raise Unfit("ไม่ใช่ภาพ PNG, JPEG หรือ WebP", "no PNG, JPEG or WebP picture") from unfit
        try:
            read_picture(seen)
        except PictureUnreadable:
            return None
        return self._scan(seen)

    def hold_text(self, text: str) -> Said:
        """The text of a code, drawn as a phone draws it."""
        try:
            picture = qr_picture(text.strip())
        except ValueError as unfit:
            raise Unfit("ไม่ใช่ข้อความของโค้ด", str(unfit)) from unfit
        return self._scan(picture)

    # --- actions

    def _act(self, asked: Asked) -> Said:
        match asked.action:
            case "code" | "again" | "answer" | "renew":
                with self._town.bus_hands.turn():
                    return self._with_phone(asked)
            case "audit":
                is_ok, said = self._town.city.audit()
                return {"audit_ok": is_ok, "text": said.strip()[-AUDIT_CHARACTERS_MAX:]}
            case _:
                with self._switches:
                    return self._switch(asked)

    def _with_phone(self, asked: Asked) -> Said:
        person = self._person(asked.words[0])
        match asked.action:
            case "code":
                person.wants(Audience.SHOP, asked.kgo)
                return self._scan(qr_picture(person.code()))
            case "again":
                if not person.wallet.state.n:
                    raise Unfit("ยังไม่เคยแสดงโค้ด", "no code was shown yet")
                return self._scan(qr_picture(person.code()))
            case "answer":
                text = read_picture(photographed(self._town.shop.port))
                answer = person.wallet.answer(text, int(time.time()))
                paid = format_minor(person.wallet.state.authorised_kgo)
                return self._scan(qr_picture(answer)) | {"paid_kgo": paid}
            case _:
                allowance = person.wallet.renew(self._town.phones_link(), int(time.time()))
                return {"reserve_kgo": format_minor(allowance.reserve_kgo)}

    def _person(self, who: str) -> Person:
        town = self._town.bus.town
        if who == NEW and not self._newest:
            try:
                self._newest = town.add_person().name
            except ValueError as enough:
                raise Unfit("มีคนพอแล้ว", str(enough)) from enough
        return town.people[self._newest if who == NEW else who]

    def _switch(self, asked: Asked) -> Said:
        town, words = self._town, asked.words
        match asked.action:
            case "network":
                town.set_network(words[0], is_on=words[1] == "on")
            case "printer":
                (town.printer.fault if words[1] == "on" else town.printer.well)(Fault(words[0]))
            case "drawer":
                with town.printer.lock:
                    town.printer.printer.close_drawer()
            case _:
                self._power(words[0])
        return {}

    def _power(self, word: str) -> None:
        if (word == "start") == (self._town.shop_program is not None):
            raise Unfit("เป็นอย่างนั้นอยู่แล้ว", "it is so already")
        if word == "start":
            self._town.shop.start()
        else:
            self._town.shop.program.kill()

    # --- the scanner

    def _scan(self, picture: Image.Image) -> Said:
        if not self._scanner.acquire(blocking=False):
            raise Busy
        try:
            self._show(picture)
            program = self._town.shop_program
            if program is None:
                raise Unfit("เครื่องของร้านปิดอยู่", "the shop's till is off")
            mark = program.mark()
            self._town.shop.scanner.scan(picture)
            try:
                return program.wait_for(is_light, mark, "a light", LIGHT_S_MAX)
            except DeadlinePassed:
                return {"silent": True}
        finally:
            self._scanner.release()

    def _show(self, picture: Image.Image) -> None:
        made = io.BytesIO()
        picture.save(made, "PNG")
        self._phone = made.getvalue()
        self._shown += 1

    def _refused(self, refusal: Refusal) -> Said:
        """A phone's own no, in the catalogue's words."""
        titles = {f"title_{language}": texts.title(refusal) for language, texts in self._texts.items()}
        return {"by": "phone", "refusal": refusal.number, **titles}
