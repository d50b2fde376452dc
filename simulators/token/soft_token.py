"""Key tokens without hardware: SoftHSM behind the shim, which can be pulled, slowed and spoiled; a TPM by swtpm.

Real PKCS #11 modules, in a folder of their own. What a process must know of them is in `environment`. TEST ONLY.
"""

import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
SHIM_SOURCE = Path(__file__).with_name("shim.c")
SO_PIN = "87654321"
READY_S_MAX = 20.0
POWER_CUTS_MAX, FORGETS_S = 1_000, 60
_INIT = """
import ctypes, sys
import pkcs11
module, label, so_pin, pin = sys.argv[1:]
lib, raw = pkcs11.lib(module), ctypes.CDLL(module)
free = next(s for s in lib.get_slots() if not s.get_token().flags & pkcs11.TokenFlag.TOKEN_INITIALIZED)
pin_size = ctypes.c_ulong(len(so_pin))
done = raw.C_InitToken(ctypes.c_ulong(free.slot_id), so_pin.encode(), pin_size, label.encode().ljust(32))
assert done == 0, done
lib.reinitialize()
named = [s.get_token() for s in lib.get_slots() if s.get_token().label.rstrip() == label]
token = min(named, key=lambda one: bool(one.flags & pkcs11.TokenFlag.USER_PIN_INITIALIZED))  # the newest has none
with token.open(rw=True, so_pin=so_pin) as session:
    session.init_pin(pin)
"""


def build_shim(folder: Path) -> Path:
    """The module between a program and SoftHSM, compiled."""
    made = folder / "shim.so"
    if not made.exists():
        words = ("cc", "-shared", "-fPIC", "-O1", "-w", "-o", str(made), str(SHIM_SOURCE), "-ldl")
        subprocess.run(words, check=True, capture_output=True)
    return made


def init_token(module: Path, environment: Mapping[str, str], label: str, pin: str) -> None:
    """As its maker's tool does: a name, and the user's first PIN."""
    words = (sys.executable, "-c", _INIT, str(module), label, SO_PIN, pin)
    subprocess.run(words, check=True, capture_output=True, env={**os.environ, **environment})


class SoftToken:
    """A drawer of tokens of SoftHSM, plugged in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "tokens").mkdir(parents=True)
        (folder / "softhsm.conf").write_text(
            f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n"
        )
        self._state = folder / "state"
        self._state.write_text("")
        self.module = build_shim(folder)
        self.environment = {
            "SOFTHSM2_CONF": str(folder / "softhsm.conf"),
            "KGO_SHIM_MODULE": str(SOFTHSM),
            "KGO_SHIM_STATE": str(self._state),
        }

    def add(self, label: str, pin: str) -> None:
        """One more token."""
        init_token(SOFTHSM, self.environment, label, pin)

    def say(self, words: str) -> None:
        """What it does from the next call on (`shim.c`); nothing: it is well."""
        waiting = self._folder / "state.new"
        waiting.write_text(words)
        waiting.replace(self._state)

    def pull(self) -> None:
        """Out of its socket."""
        self.say("gone")

    def plug(self) -> None:
        """Back."""
        self.say("")

    @property
    def logins(self) -> int:
        """How often a PIN was tried."""
        counted = self._folder / "state.logins"
        return len(counted.read_text().splitlines()) if counted.exists() else 0


class SoftTpm:
    """A TPM of swtpm on a port of this machine, and its PKCS #11 module. End it with `close`."""

    def __init__(self, folder: Path, port: int, module: Path, power_cuts_max: int = POWER_CUTS_MAX) -> None:
        """`port` and the next one must be free. `power_cuts_max`: so many put it into lockout."""
        self._folder, self._port, self.module = folder, port, module
        for name in ("state", "store"):
            (folder / name).mkdir(parents=True)
        self.environment = {
            "TPM2_PKCS11_TCTI": f"swtpm:host=127.0.0.1,port={port}",
            "TPM2_PKCS11_STORE": str(folder / "store"),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        self.bear_power_cuts(power_cuts_max)

    def bear_power_cuts(self, count: int = POWER_CUTS_MAX) -> None:
        """TPM2_DictionaryAttackParameters, as `tpm2_dictionarylockout --setup-parameters` sends it: a TPM counts each
        power cut after a use as a wrong PIN, and by default is shut after three for a quarter of an hour."""
        password = struct.pack(">IHBH", 0x4000_0009, 0, 0, 0)
        limits = struct.pack(">III", count, FORGETS_S, FORGETS_S)
        rest = struct.pack(">II", 0x4000_000A, len(password)) + password + limits
        with self._connected(self._port, 5) as tpm:
            tpm.sendall(struct.pack(">HII", 0x8002, 10 + len(rest), 0x0000_013A) + rest)
            answer = tpm.recv(64)
        assert struct.unpack(">I", answer[6:10]) == (0,), answer.hex()

    def start(self) -> None:
        """Power on; what was in it is in it."""
        at = "type=tcp,bindaddr=127.0.0.1,port="
        words = (
            *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self._folder / 'state'}"),
            *("--server", f"{at}{self._port}", "--ctrl", f"{at}{self._port + 1}"),
            *("--flags", "not-need-init,startup-clear"),
            *("--seccomp", "action=none"),  # an emulator (qemu) makes calls of its own
        )
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._connected(self._port + 1, 1).close()

    def _connected(self, port: int, timeout_s: float) -> socket.socket:
        """When it listens there: at one of its ports it does before the other. Raises TimeoutError."""
        until_s = time.monotonic() + READY_S_MAX
        while time.monotonic() < until_s:
            with suppress(OSError):
                return socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
            time.sleep(0.02)
        raise TimeoutError("swtpm does not listen")

    def add(self, label: str, pin: str) -> None:
        """A token in it."""
        init_token(self.module, self.environment, label, pin)

    def cut(self) -> None:
        """Its power, at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """For good."""
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
