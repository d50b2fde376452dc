"""A till with its page: the real `kgo-pos`, its devices simulated around it, first people and goods put in. DESIGN §11.

with TillDesk(settings, Shop(...)) as till:
    till.enrol(token)
    till.start()
    till.hands.sign_in("01", PIN_TEST_ONLY)
"""

from pathlib import Path
from typing import NamedTuple

from simulators.demo.city import free_port
from simulators.demo.desk import Desk, DeskSettings
from simulators.demo.processes import PYTHON, Child, Said, run_tool
from simulators.shop_desk.hands import Hands

PIN_TEST_ONLY = "274905"
"""Of everybody at a till on the desk."""
TAX_ID = "0000000000001"
"""Of nobody: noughts, and the last digit that they need."""
PEOPLE = (("01", "มาลี", "manager"), ("02", "สมชาย", "cashier"), ("03", "นก", "supervisor"))


class Shop(NamedTuple):
    """The shop's own words, and its printer's address; empty: none. `devices`: more lines of the settings, which go on
    with the printer's table."""

    name: str = "ก๋วยเตี๋ยวเรือป้าแดง"
    branch: str = "สาขาบึงแก่นนคร"
    promptpay: str = "0812345678"
    printer: str = ""
    devices: str = ""
    vat_per_mille: int = 70
    goods: Path | None = None
    people: tuple[tuple[str, str, str], ...] = PEOPLE


class TillDesk(Desk):
    """`start` and `kill` as often as you like; the page keeps its port."""

    def __init__(self, settings: DeskSettings, shop: Shop = Shop()) -> None:  # noqa: B008 - it is frozen
        self.shop = shop
        self.port = free_port()
        super().__init__(settings)
        self._hands: Hands | None = None

    @property
    def url(self) -> str:
        """Of the cashier's page."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def is_started(self) -> bool:
        """Does its program run?"""
        return self._child is not None and self._child.is_running

    @property
    def hands(self) -> Hands:
        """At the page as it is now; anew after each start."""
        if self._hands is None:
            self._hands = Hands(self.url)
        return self._hands

    def write_settings(self, *, url: str | None = None, ca_file: Path | None = None) -> None:
        """With the page, the shop and the printer."""
        super().write_settings(url=url, ca_file=ca_file)
        shop = self.shop
        lines = [
            f"[page]\nport = {self.port}",
            f'[shop]\nname = "{shop.name}"\nbranch = "{shop.branch}"\nvat_per_mille = {shop.vat_per_mille}',
            f'promptpay = "{shop.promptpay}"\ntax_id = "{TAX_ID if shop.vat_per_mille else ""}"',
        ]
        if shop.printer:
            lines.append(f'[printer]\naddress = "{shop.printer}"\n{shop.devices}')
        with self.settings_file.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def enrol(self, token: str) -> None:
        """The device, its people and its goods."""
        super().enrol(token)
        for code, name, role in self.shop.people:
            self.command("cashiers", "add", code, name, "--role", role, typed=f"{PIN_TEST_ONLY}\n")
        if self.shop.goods is not None:
            self.command("catalogue", "import", str(self.shop.goods))

    def command(self, *words: str, typed: str | None = None) -> str:
        """A command of the program while it does not run; what it printed."""
        command = (*PYTHON, self.kind.module, "--settings", str(self.settings_file), *words)
        return run_tool(f"kgo-pos {words[0]}", command, self.folder / "commands.log", typed=typed).stdout

    def start(self, disk_sync_ms: int = 0) -> Said:
        """What the program said when it was ready. `disk_sync_ms`: its disk takes so long for every sync."""
        self._hands = None
        if not disk_sync_ms:
            return super().start()
        slow = ("simulators.slow_disk", "--sync-ms", str(disk_sync_ms), "-m", self.kind.module)
        words = (*PYTHON, *slow, "--settings", str(self.settings_file))
        self._child = Child(self.device, words, self.folder / "program.log")
        return self.program.wait_for(lambda said: said.get("ready") is True, 0, "that it is ready")
