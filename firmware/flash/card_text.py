"""What the bench changes in a boot partition's own two files, config.txt and cmdline.txt. Pure. Decision 0225.

config.txt gets one marked block at its end; cmdline.txt gets words by which the system runs the first boot beside its
usual start. Both are found and taken away again; what else stands in the files stays byte for byte.
"""

from offline_ledger.errors import CardBootFileWrong, CardCustomised

BLOCK_BEGINS = "# --- kgo: begin; written by kgo-flash, replaced as a whole"
BLOCK_ENDS = "# --- kgo: end"
RTC_OVERLAY = "dtoverlay=i2c-rtc"
SPI_ON = "dtparam=spi=on"
CMDLINE_BYTES_MAX = 1_024
"""The kernel takes 2,048; the boot loader adds words of its own."""
UNIT = "kernel-command-line.service"
START_WORDS = (
    "systemd.run=/boot/firmware/kgo/first-boot.sh",
    "systemd.run_success_action=reboot",
    "systemd.run_failure_action=none",
    # Beside the usual start and not in its place: the network is there, and the system's own first boot is done too.
    f"systemd.wants={UNIT}",
    "systemd.unit=multi-user.target",
    # Raspberry Pi OS would ask for a name and a password on the screen, and wait.
    "systemd.mask=userconfig.service",
)
"""systemd-run-generator(8), systemd-debug-generator(8)."""
_RUNS = START_WORDS[0]
_OF_OTHERS = ("systemd.run=", "systemd.unit=")
"""Raspberry Pi Imager's customisation runs a script by these at the first start; the script rewrites cmdline.txt."""
COUNTRY = "cfg80211.ieee80211_regdom="
"""Wi-Fi stays off until the kernel knows the country."""


def with_block(config: str, lines: tuple[str, ...]) -> str:
    """config.txt with this block at its end, once; without one when there are no lines."""
    kept = without_block(config)
    if not lines:
        return kept
    # [all]: the file may end in a part for one model alone
    block = "\n".join((BLOCK_BEGINS, "[all]", *lines, BLOCK_ENDS))
    return f"{kept}{'' if not kept or kept.endswith(chr(10)) else chr(10)}{block}\n"


def without_block(config: str) -> str:
    """config.txt as it was before; a block that a cut left without its end goes to the end of the file."""
    before, begins, rest = config.partition(BLOCK_BEGINS)
    if not begins:
        return config
    _, ends, after = rest.partition(BLOCK_ENDS)
    return before + (after.removeprefix("\n") if ends else "")


def config_lines(config: str, *, has_clock: bool, has_panel: bool = False) -> tuple[str, ...]:
    """What config.txt lacks: SPI for a panel on it, and the clock chip, unless somebody named one already."""
    others = [line.strip() for line in without_block(config).splitlines()]
    is_clock_missing = has_clock and not any(line.startswith(RTC_OVERLAY) for line in others)
    clock = ("dtparam=i2c_arm=on", f"{RTC_OVERLAY},ds3231") if is_clock_missing else ()
    return (*((SPI_ON,) if has_panel else ()), *clock)


def with_start(cmdline: bytes, country: str = "") -> bytes:
    """cmdline.txt that runs the first boot, and nothing of others. Raises CardBootFileWrong, CardCustomised."""
    words = _words(without_start(cmdline))
    foreign = [word for word in words if word.startswith(_OF_OTHERS)]
    if foreign:
        raise CardCustomised(f"cmdline.txt: {' '.join(foreign)}")
    if country and not any(word.startswith(COUNTRY) for word in words):
        words.append(COUNTRY + country)
    made = " ".join((*words, *START_WORDS)).encode() + b"\n"
    if len(made) > CMDLINE_BYTES_MAX:
        raise CardBootFileWrong(f"cmdline.txt: over {CMDLINE_BYTES_MAX} bytes")
    return made


def without_start(cmdline: bytes) -> bytes:
    """cmdline.txt that starts the system alone. Words like ours are ours only where our own script is run. Raises
    CardBootFileWrong."""
    words = _words(cmdline)
    if _RUNS not in words:
        return cmdline
    ours = set(START_WORDS)
    return " ".join(word for word in words if word not in ours).encode() + b"\n"


def starts_first_boot(cmdline: bytes) -> bool:
    """Does the card run the first boot? Half of the words are none: they are written at once. Raises
    CardBootFileWrong."""
    return set(START_WORDS) <= set(_words(cmdline))


def _words(cmdline: bytes) -> list[str]:
    """Raises CardBootFileWrong: only a line that names its root file system is one that boots."""
    try:
        lines = [line for line in cmdline.decode("ascii").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise CardBootFileWrong("cmdline.txt: not ASCII") from None
    if len(lines) != 1:
        raise CardBootFileWrong(f"cmdline.txt: {len(lines)} lines, not one")
    words = lines[0].split()
    if not any(word.startswith("root=") for word in words):
        raise CardBootFileWrong("cmdline.txt: no root=")
    return words
