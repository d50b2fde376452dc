"""The story: a day's taps without a network, people who err, one who cheats, one power cut. DESIGN §2, §5.

Every light is compared with the one that should come on; what came on otherwise is a wrong light, in words. Whether
the money is right is not judged here but by `reader.py`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from offline_ledger.errors import CodeTooOld, Denied, NotOurCode, Refusal, WrongAudience
from offline_ledger.money import KGO, format_minor
from offline_ledger.protocol.wallet import Audience
from simulators.cheats import same_counter_other_audience, screenshot
from simulators.demo.desk import Desk, Reader, is_light
from simulators.demo.processes import Said
from simulators.demo.table import Words, padded
from simulators.demo.town import RIDE_CAP_KGO, Person, Town
from simulators.fault_link import Mode

TAPS_EACH = 4
"""Per person and terminal: five people make 20 boardings and 20 sales."""
DAY_S = 86_400
GREEN = ("accepted", "accepted_cash_due")
PROMPTPAY = "00020101021229370016A000000677010111011300668123456785802TH53037646304AB12"
"""A PromptPay code: every Thai customer has one on the screen by mistake one day."""
KILL_DELAY_S_MAX = 0.0001
COFFEE_KGO = (10, 25)
BILL_BAHT_MORE_MAX = 60
PLACE_COLUMNS, PERSON_COLUMNS, READER_COLUMNS = 24, 15, 20
REPEATED = Words("โค้ดเดิมอีกครั้ง รับแล้ว ไม่หักซ้ำ", "the same code again: already accepted, no charge")

Tell = Callable[[str], None]


@dataclass(slots=True)
class Told:
    """What happened, as the people at the terminals saw it."""

    greens: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    wrong_lights: list[str] = field(default_factory=list[str])
    by_reader: dict[tuple[str, Reader], int] = field(default_factory=dict[tuple[str, Reader], int])
    refusals: int = 0
    cheats: int = 0
    kill: Words | None = None


@dataclass(frozen=True, slots=True)
class Tap:
    """One planned tap."""

    desk: Desk
    person: Person
    reader: Reader
    trick: str = ""


class Story:
    """The acts, in order. One chance generator; a seed repeats the plan."""

    def __init__(self, town: Town, shop: Desk, bus: Desk, random: Random, tell: Tell) -> None:
        self._town, self._shop, self._bus = town, shop, bus
        self._random = random
        self._tell = tell
        self.told = Told()

    def cut_network(self) -> None:
        """The shop's packets vanish, the bus finds nobody."""
        self._shop.cut(Mode.BLACK_HOLE)
        self._bus.cut(Mode.REFUSE)

    def day(self) -> None:
        """All honest taps, the mistakes among them."""
        self._bus.tell("trip R8 R8-0712 KKU", "trip")
        for tap in self._plan():
            self._take(tap)
        self._promptpay(self._shop, Reader.SERIAL)
        self._promptpay(self._bus, Reader.CAMERA)

    def _plan(self) -> list[Tap]:
        """All taps but the cheat's two, which are the last; each terminal reads half by serial, half by camera."""
        *_, cheat = self._town.people
        taps: list[Tap] = []
        for desk in (self._shop, self._bus):
            readers = [reader for reader in Reader for _ in range(len(self._town.people) * TAPS_EACH // 2)]
            readers.remove(self._cheat_reader(desk))
            who = [person for person in self._town.people for _ in range(TAPS_EACH - (person is cheat))]
            self._random.shuffle(readers)
            taps += [Tap(desk, person, reader) for person, reader in zip(who, readers, strict=True)]
        self._random.shuffle(taps)
        return self._with_tricks(taps)

    def _cheat_reader(self, desk: Desk) -> Reader:
        return Reader.SERIAL if desk is self._bus else Reader.CAMERA

    def _with_tricks(self, taps: list[Tap]) -> list[Tap]:
        """Mistakes at seeded taps: an old screenshot, the wrong place, the code shown twice, and the power cut."""
        wanted = (
            ("yesterday", self._bus, Reader.CAMERA),
            ("wrong_place", self._bus, Reader.SERIAL),
            ("twice", self._bus, Reader.CAMERA),
            ("twice", self._shop, Reader.SERIAL),
            ("killed", self._bus, Reader.SERIAL),
        )
        for trick, desk, reader in wanted:
            fits = [at for at, tap in enumerate(taps) if (tap.desk, tap.reader, tap.trick) == (desk, reader, "")]
            at = self._random.choice(fits)
            taps[at] = Tap(desk, taps[at].person, reader, trick)
        return taps

    # --- one tap

    def _take(self, tap: Tap) -> None:
        person = tap.person
        if tap.desk is self._shop:
            person.wants(Audience.SHOP, self._open_sale())
        else:
            person.wants(Audience.TRANSIT, RIDE_CAP_KGO)
        if tap.trick == "killed":
            self._killed(tap)
            return
        if tap.trick == "yesterday":
            old = screenshot(person.wallet, int(time.time()) - DAY_S)
            what = _of(person, "ภาพหน้าจอของเมื่อวาน", "yesterday's screenshot")
            self._refused(tap.desk, lambda: old, tap.reader, CodeTooOld, what)
        if tap.trick == "wrong_place":
            what = _of(person, "โค้ดรถเมล์ที่ร้าน", "a bus code at the till")
            self._refused(self._shop, person.code, tap.reader, WrongAudience, what)
        self._green(tap.desk, person.code, tap.reader, person)
        if tap.trick == "twice":
            self._repeat(tap)

    def _open_sale(self) -> int:
        """The cashier keys in a bill and the KGO that the customer wants to use; the KGO."""
        kgo = self._random.randint(*COFFEE_KGO)
        baht = 2 * kgo + self._random.randint(0, BILL_BAHT_MORE_MAX)
        self._shop.tell(f"sale {baht}.00 {kgo}.00", "sale")
        return kgo * KGO

    def _green(self, desk: Desk, code: Callable[[], str], reader: Reader, person: Person, mark: str = "") -> Said:
        said = desk.show(code, reader)
        key = (desk.device, reader)
        self.told.by_reader[key] = self.told.by_reader.get(key, 0) + 1
        if said["light"] in GREEN:
            self.told.greens.setdefault(desk.device, []).append(said["sequence"])
            who = padded(f"{person.name_th} {person.name}{mark}", PERSON_COLUMNS, right=False)
            how = padded(f"{reader.thai} {reader.english}", READER_COLUMNS, right=False)
            self._tell(f"  {_place(desk)}{who}{how}เขียว green  {format_minor(said.get('kgo', 0)):>6} KGO")
        else:
            self._wrong(desk, f"{person.name}{mark}", "green", said)
        return said

    def _refused(self, desk: Desk, code: Callable[[], str], reader: Reader, why: type[Refusal], what: Words) -> None:
        said = desk.show(code, reader)
        self.told.refusals += 1
        if said["light"] in ("refused", "try_again") and said.get("refusal") == why.number:
            thai = f"{what.thai}: ปฏิเสธ {why.number} {said['title_th']}"
            self._tell_both(desk, Words(thai, f"{what.english}: refused, {why.number} {said['title_en']}"))
        else:
            self._wrong(desk, what.english, f"refusal {why.number}", said)

    def _repeat(self, tap: Tap) -> None:
        said = tap.desk.show(tap.person.code, tap.reader)
        if said["light"] == "already_accepted":
            self._tell_both(tap.desk, _of(tap.person, *REPEATED))
        else:
            self._wrong(tap.desk, tap.person.name, "already_accepted", said)

    def _promptpay(self, desk: Desk, reader: Reader) -> None:
        self._refused(desk, lambda: PROMPTPAY, reader, NotOurCode, Words("โค้ดพร้อมเพย์", "a PromptPay code"))

    def _wrong(self, desk: Desk, what: str, wanted: str, said: Said) -> None:
        shown = {key: said.get(key) for key in ("light", "refusal", "key", "sequence") if key in said}
        self.told.wrong_lights.append(f"{desk.device}, {what}: {wanted} was due, came {shown}")
        self._tell(f"  ไฟไม่ถูกต้อง · WRONG LIGHT {self.told.wrong_lights[-1]}")

    def _tell_both(self, desk: Desk, words: Words) -> None:
        """Thai, and English below it."""
        self._tell(f"  {_place(desk)}{words.thai}")
        self._tell(f"  {' ' * PLACE_COLUMNS}{words.english}")

    # --- the power cut

    def _killed(self, tap: Tap) -> None:
        """SIGKILL between commit and green, or near it; the same person shows the code again."""
        desk, person = tap.desk, tap.person
        desk.wait_quiet()
        delay_s = self._random.uniform(0, KILL_DELAY_S_MAX)
        since_ns = desk.journal_touched_ns()
        mark = desk.begin_show(person.code())
        was_written = desk.kill_at(delay_s, since_ns, give_up_s=2.0)
        lights = [said for said in desk.program.said_since(mark) if is_light(said)]
        desk.start()
        desk.tell("trip R8 R8-0712 KKU", "trip")
        again = desk.show(person.code, tap.reader)
        third = desk.show(person.code, tap.reader)
        greens = [said for said in [*lights, again, third] if said["light"] in GREEN]
        key = (desk.device, tap.reader)
        self.told.by_reader[key] = self.told.by_reader.get(key, 0) + 1
        self.told.kill = _kill_words(
            f"{delay_s * 1000:.2f}",
            was_written=was_written,
            was_shown=bool(lights),
            is_uncharged=again.get("uncharged") is True,
        )
        self._tell_both(desk, _of(person, *self.told.kill))
        self.told.greens.setdefault(desk.device, []).extend(sorted({said["sequence"] for said in greens}))
        if again["light"] not in GREEN and not lights:
            self._wrong(desk, f"{person.name} after the power cut", "green", again)
        if third["light"] != "already_accepted" or len({said["sequence"] for said in greens}) != 1:
            self._wrong(desk, f"{person.name}, a third time", "already_accepted", third)

    # --- the cheat

    def cheat(self) -> None:
        """One modified wallet pays the bus and the shop with the same money; offline, neither can know."""
        *_, person = self._town.people
        person.wants(Audience.TRANSIT, RIDE_CAP_KGO)
        self._green(self._bus, person.code, self._cheat_reader(self._bus), person)
        kgo = self._open_sale()
        self._green(
            self._shop,
            lambda: same_counter_other_audience(person.wallet, Audience.SHOP, kgo, int(time.time())),
            self._cheat_reader(self._shop),
            person,
            "*",
        )
        self.told.cheats = 1

    def network_returns(self) -> None:
        """Both terminals send everything."""
        for desk in (self._shop, self._bus):
            desk.reconnect()
        self._town.wait_synced()

    def cheat_comes_back(self) -> None:
        """Both signatures have met in the ledger: the deny list reached the terminals."""
        *_, person = self._town.people
        asked = [(desk, desk.ask_exchange()) for desk in (self._shop, self._bus)]
        for desk, before in asked:
            desk.wait_exchange(before)
            if desk is self._shop:
                person.wants(Audience.SHOP, self._open_sale())
            else:
                person.wants(Audience.TRANSIT, RIDE_CAP_KGO)
            self._refused(
                desk, person.code, Reader.SERIAL, Denied, Words(f"{person.name_th} อีกครั้ง", f"{person.name} again")
            )
        self._town.wait_synced()


def _place(desk: Desk) -> str:
    return padded(f"{desk.kind.thai} {desk.kind.english}", PLACE_COLUMNS, right=False)


def _of(person: Person, thai: str, english: str) -> Words:
    return Words(f"{person.name_th}: {thai}", f"{person.name}: {english}")


def _kill_words(delay_ms: str, *, was_written: bool, was_shown: bool, is_uncharged: bool) -> Words:
    thai = (
        f"ไฟดับ {delay_ms} มิลลิวินาทีหลังบันทึก{'ลงดิสก์แล้ว' if was_written else 'ยังไม่ลงดิสก์'}"
        f" {'หลัง' if was_shown else 'ก่อน'}ไฟเขียว เปิดใหม่แล้วได้ไฟเขียว"
        f"{'โดยไม่หักซ้ำ' if is_uncharged else ' หักครั้งเดียว'}"
    )
    english = (
        f"killed {delay_ms} ms after the journal was {'written' if was_written else 'not yet written'},"
        f" {'after' if was_shown else 'before'} its green; came back, green"
        f" {'without a second charge' if is_uncharged else 'as charged once'}"
    )
    return Words(thai, english)
