"""A real pcscd with virtual readers (vsmartcard's vpcd), for simulated cards. DESIGN §11.

pcscd's socket has one fixed path. Here each daemon has a `/run` of its own, in a mount namespace that goes with it, so
many can run beside each other and beside the machine's own, as root or as anybody. Programs are led to it by the
variable that pcsc-lite's client reads once in its life, and by a link that is made anew with each start. Each reader
needs a copy of the driver, since one loaded driver keeps the slots of one reader; each has two slots, which are two
readers to a program. The driver listens on all addresses: for desks only.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from simulators.patience import patient

DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
SOCKET = "run/pcscd/pcscd.comm"
"""Within the daemon's own root."""
LED_BY = "PCSCLITE_CSOCK_NAME"
"""The variable that names the socket to programs (pcsc-lite since 1.6.5)."""
_OWN_RUN = 'mount -t tmpfs none /run && mkdir /run/pcscd && exec "$@"'
SLOTS = 2
READERS_MAX = 16
START_S_MAX = patient(5)
STOP_S_MAX = patient(5)
STARTS_MAX = 3
"""Somebody else may take a port between its being looked for and its use."""
LOOK_S = 0.4
"""How often pcscd looks whether a card came or went."""
_POLL_S = 0.01
_DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM")
"""A daemon that outlived a killed test would keep the next one out. It ends with the thread that started it."""
_PORTS_TRIED_MAX = 50


class PcscUnavailable(Exception):
    """pcscd cannot be started here; the message says why and what helps."""


class Reader(NamedTuple):
    """Its name in PC/SC, and the port on which its virtual cards connect."""

    name: str
    port: int


class PcscDaemon:
    """`with PcscDaemon(4) as pcsc:` four readers are there; `stop` and `start` in between are a service that dies."""

    def __init__(self, readers: int = 2, *, name: str = "KGO desk") -> None:
        if not 0 < readers <= READERS_MAX:
            raise ValueError(f"{readers} readers")
        self._wanted = readers
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._held = ExitStack()
        self._folder = Path()
        self.readers: tuple[Reader, ...] = ()

    def __enter__(self) -> "PcscDaemon":
        if _answers():
            raise PcscUnavailable("this process has a daemon already: a program finds one")
        try:
            self._folder = Path(self._held.enter_context(tempfile.TemporaryDirectory(prefix="kgo-pcsc-")))
            self._begin()
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            _led_by().unlink(missing_ok=True)
            self._held.close()

    def start(self) -> None:
        """Raises PcscUnavailable."""
        log = (self._folder / "pcscd.log").open("wb")
        with log:
            rights = () if os.geteuid() == 0 else ("--user", "--map-root-user")
            apart = ("unshare", "--mount", *rights, "sh", "-c", _OWN_RUN, "sh")
            command = [*apart, *_DIES_WITH_US, "pcscd", "--foreground", "--config", str(self._folder / "reader.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until_s = time.monotonic() + START_S_MAX
        _lead_to(self._process.pid)
        while not (_answers() and all(map(_listens, self.readers))):
            if self._process.poll() is not None or time.monotonic() > until_s:
                self.stop()
                said = (self._folder / "pcscd.log").read_text(errors="replace")[-300:]
                raise PcscUnavailable(f"pcscd did not start: {said or 'it said nothing'}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End it; cards in its readers are cut off."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """As a crash would end it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _begin(self) -> None:
        for left in reversed(range(STARTS_MAX)):
            self._set_up()
            try:
                return self.start()
            except PcscUnavailable:
                if not left:
                    raise

    def _set_up(self) -> None:
        if not DRIVER.exists() or shutil.which("pcscd") is None:
            raise PcscUnavailable("apt install pcscd vsmartcard-vpcd")
        lines: list[str] = []
        readers: list[Reader] = []
        for number in range(-(-self._wanted // SLOTS)):
            driver = self._folder / f"vpcd-{number}.so"
            shutil.copy(DRIVER, driver)
            name, port = f"{self._name} {number}", _free_ports()
            channel = f"0x{port:04X}"
            lines += [f'FRIENDLYNAME "{name}"', f"DEVICENAME /dev/null:{channel}"]
            lines += [f"LIBPATH {driver}", f"CHANNELID {channel}", ""]
            readers += [Reader(f"{name} 00 {slot:02X}", port + slot) for slot in range(SLOTS)]
        (self._folder / "reader.conf").write_text("\n".join(lines))
        self.readers = tuple(readers[: self._wanted])


def _led_by() -> Path:
    """The link by which this process and its children find the daemon: one for the life of the process."""
    return Path(tempfile.gettempdir()) / f"kgo-pcscd-{os.getpid()}.comm"


def _lead_to(pid: int) -> None:
    link = _led_by()
    link.unlink(missing_ok=True)
    link.symlink_to(Path("/proc", str(pid), "root", SOCKET))
    os.environ[LED_BY] = str(link)


def _answers() -> bool:
    """Does a daemon listen on the socket?"""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(_led_by()))
        except OSError:
            return False
    return True


def _listens(reader: Reader) -> bool:
    """Looked up, not tried: a connection would be a card."""
    wanted = f":{reader.port:04X} 00000000:0000 0A "
    return any(wanted in line for line in Path("/proc/net/tcp").read_text().splitlines())


def _free_ports() -> int:
    """The first of SLOTS neighbouring ports that nobody listens on."""
    for _ in range(_PORTS_TRIED_MAX):
        with ExitStack() as held:
            first = held.enter_context(socket.socket())
            first.bind(("", 0))
            port = first.getsockname()[1]
            try:
                for slot in range(1, SLOTS):
                    held.enter_context(socket.socket()).bind(("", port + slot))
            except OSError:
                continue
            return port
    raise PcscUnavailable("no two free ports beside each other")
