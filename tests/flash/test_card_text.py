"""config.txt and cmdline.txt: our words once, found again, taken away without a trace. Decision 0225."""

import subprocess
from pathlib import Path

import pytest

from firmware.flash.card_customised import customised
from firmware.flash.card_text import (
    BLOCK_BEGINS,
    START_WORDS,
    config_lines,
    starts_first_boot,
    with_block,
    with_start,
    without_block,
    without_start,
)
from offline_ledger.errors import CardBootFileWrong, CardCustomised
from simulators.bench_desk.bootfs import CLOUD_INIT, CMDLINES, CONFIG

CUSTOMISED = (
    CMDLINES["bookworm"].strip() + " systemd.run=/boot/firstrun.sh systemd.run_success_action=reboot"
    " systemd.unit=kernel-command-line.target\n"
).encode()
"""As Raspberry Pi Imager leaves it after a name, a network or a password was set in its customisation."""
LINES = ("dtparam=i2c_arm=on", "dtoverlay=i2c-rtc,ds3231")


@pytest.mark.parametrize("config", [CONFIG, "", "[pi4]\narm_freq=1500", "arm_64bit=1\n\n\n"])
def test_a_block_stands_once_and_leaves_as_it_came(config: str) -> None:
    made = with_block(config, LINES)
    assert made == with_block(made, LINES) and made.count(BLOCK_BEGINS) == 1
    assert made.splitlines()[-4:-1] == ["[all]", *LINES]  # never for one model alone
    kept = without_block(made)
    assert kept == config or kept == config + "\n"
    assert with_block(made, ()) == kept


def test_a_block_without_its_end_is_ours_to_the_end() -> None:
    whole = with_block(CONFIG, LINES)
    for cut in range(len(CONFIG) + len(BLOCK_BEGINS), len(whole)):
        assert with_block(whole[:cut], LINES) == whole


@pytest.mark.parametrize(
    ("config", "has_clock", "expected"),
    [
        (CONFIG, True, LINES),
        (CONFIG, False, ()),
        (CONFIG + "dtoverlay=i2c-rtc,pcf85063a,addr=0x51\n", True, ()),
        (CONFIG + "#dtoverlay=i2c-rtc,ds3231\n", True, LINES),
        (with_block(CONFIG, LINES), True, LINES),
    ],
)
def test_a_clock_that_somebody_named_stays_the_only_one(
    config: str, has_clock: bool, expected: tuple[str, ...]
) -> None:
    assert config_lines(config, has_clock=has_clock) == expected


def test_a_panel_gets_its_bus_and_no_overlay_of_the_clock_moves() -> None:
    assert config_lines(CONFIG, has_clock=True, has_panel=True) == ("dtparam=spi=on", *LINES)
    assert config_lines(CONFIG, has_clock=False, has_panel=True) == ("dtparam=spi=on",)


@pytest.mark.parametrize("system", CMDLINES)
def test_the_boot_file_runs_the_first_boot_and_then_no_more(system: str) -> None:
    before = CMDLINES[system].encode()
    made = with_start(before)
    assert starts_first_boot(made) and not starts_first_boot(before)
    assert made == with_start(made) and made.count(b"\n") == 1
    assert without_start(made).split() == before.split()
    assert without_start(before) == before
    assert with_start(before, "TH").split()[len(before.split())] == b"cfg80211.ieee80211_regdom=TH"
    assert with_start(with_start(before, "TH"), "TH").count(b"regdom") == 1


@pytest.mark.parametrize(
    "wrong",
    [b"", b"\n", b"console=tty1 quiet\n", b"root=/dev/sda1\nroot=/dev/sda2\n", "root=ไทย".encode(), b"root=" * 300],
)
def test_what_would_not_boot_is_not_touched(wrong: bytes) -> None:
    with pytest.raises(CardBootFileWrong):
        with_start(wrong)


def test_a_card_that_imager_customised_is_not_taken() -> None:
    """Its script would run in place of ours, and take our words away with its own."""
    assert without_start(CUSTOMISED) == CUSTOMISED, "no word of it is ours"
    both = CUSTOMISED.strip() + b" " + " ".join(START_WORDS).encode()  # prepared before this was looked for
    for cmdline in (CUSTOMISED, both, CMDLINES["bookworm"].encode().strip() + b" systemd.unit=rescue.target"):
        with pytest.raises(CardCustomised):
            with_start(cmdline)


def test_systemd_itself_reads_our_words_as_a_service_beside_the_usual_start(tmp_path: Path) -> None:
    """Its own generators, given this command line: the unit that runs, what wants it, what it leads to."""
    cmdline = with_start(CMDLINES["bookworm"].encode()).decode().strip()
    for generator in ("systemd-run-generator", "systemd-debug-generator"):
        subprocess.run(
            (f"/usr/lib/systemd/system-generators/{generator}", str(tmp_path), str(tmp_path), str(tmp_path)),
            env={"SYSTEMD_PROC_CMDLINE": cmdline},
            check=True,
            timeout=30,
        )
    unit = (tmp_path / "kernel-command-line.service").read_text()
    assert "ExecStart=/boot/firmware/kgo/first-boot.sh" in unit
    assert "SuccessAction=reboot" in unit and "FailureAction" not in unit
    assert (tmp_path / "multi-user.target.wants" / "kernel-command-line.service").is_symlink()
    assert (tmp_path / "userconfig.service").readlink() == Path("/dev/null")


def test_every_word_of_ours_has_its_part() -> None:
    """Without one of them nothing runs, or the machine stays in a mode that nobody asked for."""
    for word in START_WORDS:
        assert not starts_first_boot(with_start(CMDLINES["trixie"].encode()).replace(word.encode(), b""))


# --- what somebody else has set up


@pytest.mark.parametrize("name", CLOUD_INIT)
def test_what_an_image_brings_for_cloud_init_sets_nothing_up(name: str) -> None:
    for content in (CLOUD_INIT[name], CLOUD_INIT[name].replace("\n", "\r\n"), "", "\n", "#cloud-config\n---\n"):
        assert customised({name: content.encode()}) == []
    assert customised({"meta-data": b"instance-id: rpi-imager-1764000000000\n"}) == []


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("user-data", "#cloud-config\nhostname: x\nusers:\n- name: y\n", "user-data (hostname, users)"),
        ("user-data", "\ufeff#cloud-config\nrpi:\n  interfaces:\n", "user-data (rpi)"),
        ("user-data", "#cloud-config\n{users: [default]}\n", "user-data (-)"),
        ("user-data", "ssh_pwauth: true", "user-data (ssh_pwauth)"),
        ("user-data", "#!/bin/sh\n# curl\n", "user-data (-)"),
        ("user-data", "#include http://x", "user-data (-)"),
        ("user-data", "\x1f\x8b\x08", "user-data (-)"),
        ("network-config", "network:\n  version: 2\n  wifis:\n    wlan0:\n", "network-config"),
        ("network-config", "network: {config: disabled}", "network-config"),
        ("meta-data", "local-hostname: x\n", "meta-data"),
        ("meta-data", "seedfrom: http://x/\n", "meta-data"),
        ("vendor-data", "#cloud-config\nruncmd: [reboot]\n", "vendor-data"),
        ("custom.toml", "", "custom.toml"),
        ("userconf.txt", "pi:hash", "userconf.txt"),
        ("ssh", "", "ssh"),
    ],
)
def test_what_is_set_up_is_named_and_not_shown(name: str, content: str, told: str) -> None:
    assert customised({name: content.encode("utf-8")}) == [told]
