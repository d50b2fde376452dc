"""`kgo-flash release …` as the officers' guide has it, and as people mistype it. DESIGN §3."""

import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.flash.__main__ import main
from firmware.flash.release.keys import load_public, load_signer, make_key, no_passphrase
from firmware.flash.release.making import LOCKS, own_python
from firmware.flash.release.wheels import read_locks
from offline_ledger.errors import ReleaseKeyThere
from offline_ledger.terminal.updates.names import own_platform
from offline_ledger.terminal.updates.package import read_manifest
from tests.processes.small_disk import on_small_disk
from tests.release_desk import ReleaseDesk, small_package

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "bench" / "releases.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MACHINE = own_platform().removeprefix("linux_")
PACKAGE = f"kgo-0.2.0-linux_{MACHINE}.zip"
PROMPT_S_MAX = 20.0


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in; the process's own mask is as before afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    mask = os.umask(0o022)
    yield tmp_path
    os.umask(mask)


def kgo_flash(*words: str) -> int:
    return main(["--language", "en", *words])


def test_every_command_of_the_guide_does_what_the_guide_says(
    here: Path, capfd: pytest.CaptureFixture[str], soak: bool
) -> None:
    ran = 0
    for content in BLOCK.findall(GUIDE.read_text("utf-8")):
        for part in content.replace("x86_64", MACHINE).split("$ ")[1:]:
            command, *expected = part.splitlines()
            words = shlex.split(command)
            if words[0] == "kgo-flash":
                assert kgo_flash(*words[1:]) == 0, (command, capfd.readouterr().err)
            else:
                subprocess.run(words, cwd=here, check=True)
            said = capfd.readouterr().out
            for line in expected:
                assert line in said, (command, said)
            ran += 1
    assert ran >= 15
    assert kgo_flash("release", "show", "releases") == 0
    said = capfd.readouterr().out
    assert f"kgo-0.2.0-linux_{MACHINE}.zip" in said and "root 2, until" in said
    check_whole_package(here / f"kgo-0.2.0-linux_{MACHINE}.zip")
    if soak:  # it takes as long as all the rest
        (here / "again").mkdir()
        again = ("release", "package", "again", "--platform", MACHINE, "--from-here", "--as-version", "0.2.0")
        assert kgo_flash(*again) == 0
        (second,) = (here / "again").iterdir()
        assert second.read_bytes() == (here / second.name).read_bytes(), "two who make it get the same bytes"


def test_a_version_that_no_terminal_will_take_is_said_to_be_one(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    desk = ReleaseDesk(here, int(time.time()))
    desk.begin(roots=1, threshold=1)
    said: dict[str, str] = {}
    for version in ("0.9.1", "0.10.0", "0.9.2"):
        file = desk.package(version, "linux_aarch64")
        assert kgo_flash("release", "add", "releases", str(file), "--keys", str(desk.keys_folder)) == 0
        said[version] = capfd.readouterr().out
    assert "kgo-0.10.0-linux_aarch64.zip" in said["0.9.2"].splitlines()[1]
    assert all(len(said[version].splitlines()) == 1 for version in ("0.9.1", "0.10.0"))


def check_whole_package(file: Path) -> None:
    """All of it, from this checkout and what is installed here."""
    manifest, pins = read_manifest(file), read_locks(ROOT / name for name in LOCKS)
    assert (manifest.version, manifest.platform, manifest.python) == ("0.2.0", own_platform(), own_python())
    assert manifest.programs == ("kgo-pos", "kgo-bus") and {"kgo-bus.service", "kgo-pos.service", "start"} <= set(
        manifest.system
    )
    assert len(manifest.wheels) == len(pins) + 1 and "kgo_acceptance-0.2.0-py3-none-any.whl" in manifest.wheels


@pytest.mark.parametrize(
    ("words", "code", "number"),
    [
        (("add", "releases", "none.zip"), 1, "7233"),
        (("add", "releases", "made/none.zip"), 1, "7233"),
        (("add", "releases", "/dev/zero"), 1, "7233"),
        (("add", "releases", PACKAGE, "--channel", "stabel"), 1, "7238"),
        (("withdraw", "releases", PACKAGE, "--channel", "stabel"), 1, "7238"),
        (("withdraw", "releases", PACKAGE), 1, "7239"),
        (("channel", "releases", "targets", "--add", "release-keys/TEST-ONLY-stable.pub"), 1, "7240"),
        (("channel", "releases", "stabel", "--threshold", "1"), 1, "7238"),
        (("key", "release-keys/stable.pem", "--test-keys"), 1, "7237"),
        (("sign-root", "releases", "--key", "release-keys/TEST-ONLY-root-1.pub"), 1, "7243"),
        (("init", "others", "--test-keys", "--roots", "1", "--keys", "elsewhere"), 1, "7244"),
        (("channel", "releases", "trial", "--threshold", "9"), 1, "7244"),
        (("channel", "releases", "trial", "--add", "city.toml"), 1, "7244"),
        (("channel", "releases", "trial", "--remove", "ffffffff"), 1, "7244"),
        (("init", "others", "--test-keys", "--keys", "city.toml/keys"), 1, "7233"),
        (("add", "releases", "city.toml"), 1, "7214"),
        (("refresh", "nothing"), 1, "7216"),
        (("show", "nothing"), 1, "7216"),
        (("init", "releases", "--test-keys"), 1, "7216"),
        (("sign-root", "releases/root-change", "--key", "release-keys/TEST-ONLY-root-1.pem"), 1, "7243"),
        (("publish-root", "releases"), 1, "7243"),
        (("rotate-root", "releases", "--threshold", "root=x"), 1, "7244"),
        (("rotate-root", "releases", "--add", "root=none.pub"), 1, "7233"),
        (("rotate-root", "releases", "--add", "root=city.toml"), 1, "7244"),
        (("rotate-root", "releases", "--add", "bogus=release-keys/TEST-ONLY-stable.pub"), 1, "7244"),
        (("rotate-root", "releases", "--remove", "root=ffff"), 1, "7244"),
        (("rotate-root", "releases", "--threshold", "root=7"), 1, "7244"),
        (("refresh", "releases", "--keys", "nowhere"), 1, "7234"),
        (("refresh", "releases", "--keys", "empty"), 1, "7212"),
    ],
)
def test_what_is_refused_says_its_number(
    here: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, number: str
) -> None:
    assert kgo_flash("release", "init", "releases", "--test-keys") == 0
    (here / "city.toml").write_text("nothing")
    (here / "empty").mkdir()
    small_package(here, "0.2.0", own_platform())
    capfd.readouterr()
    assert kgo_flash("release", *words) == code
    assert capfd.readouterr().err.startswith(f"{number} ")


@pytest.mark.parametrize(
    "words",
    [
        (), ("init",), ("init", "x", "--roots", "0"), ("init", "x", "--roots", "two"), ("add", "x"),
        ("rotate-root", "x", "--add", "root"), ("rotate-root", "x", "--add", "=y"),
        ("package", ".", "--platform", "arm"), ("refresh", "x", "--days", "367"), ("sign-root", "x"),
    ],
)  # fmt: skip
def test_what_is_mistyped_is_wrong_usage(here: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        kgo_flash("release", *words)
    assert ended.value.code == 2 and "usage: kgo-flash release" in capfd.readouterr().err
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("name", ["", "/", ".", "..", ".pem", "deep/..", "n" * 300])
def test_a_key_needs_the_name_of_a_file(here: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    assert kgo_flash("release", "key", name, "--test-keys") == 1
    assert capfd.readouterr().err.startswith("7233 ") and list(here.iterdir()) == []


@pytest.mark.parametrize("kept", ["TEST-ONLY-root-1.pub", "TEST-ONLY-root-1.pem"])
def test_neither_half_of_a_key_is_ever_replaced(here: Path, capfd: pytest.CaptureFixture[str], kept: str) -> None:
    """Of a key that its holder keeps elsewhere there is the public half alone."""
    (here / kept).write_text("an older key")
    assert kgo_flash("release", "key", "root-1", "--test-keys") == 1
    said = capfd.readouterr().err
    assert said.startswith("7237 ") and kept in said
    assert [file.name for file in here.iterdir()] == [kept] and (here / kept).read_text() == "an older key"
    with pytest.raises(ReleaseKeyThere):
        make_key(here / "TEST-ONLY-root-1.pem", "")
    assert [file.name for file in here.iterdir()] == [kept] and (here / kept).read_text() == "an older key"


def test_a_key_keeps_its_whole_name(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Two people with a point in their names have two keys, and each of them signs."""
    for named, base in (("khun.somchai", "khun.somchai"), ("khun.somsri.pem", "khun.somsri"), ("v2.pub", "v2")):
        assert kgo_flash("release", "key", named, "--test-keys") == 0
        secret, public = here / f"TEST-ONLY-{base}.pem", here / f"TEST-ONLY-{base}.pub"
        said = capfd.readouterr().out
        assert secret.name in said and public.name in said
        assert load_signer(secret, no_passphrase).public_key.keyid == load_public(public).keyid
    assert len(list(here.iterdir())) == 6


@pytest.mark.parametrize("folder", ["nowhere", "file"])
def test_a_package_has_a_place_before_its_parts_are_collected(
    here: Path, capfd: pytest.CaptureFixture[str], folder: str
) -> None:
    (here / "file").write_text("")
    machine = ("--platform", MACHINE, "--python", own_python(), "--from-here")
    assert kgo_flash("release", "package", folder, *machine, "--requirements", "none.txt") == 1
    said = capfd.readouterr().err
    assert said.startswith("7233 ") and folder in said and "none.txt" not in said
    (here / "there").mkdir()
    assert kgo_flash("release", "package", "there", *machine, "--requirements", "none.txt") == 1
    assert "none.txt" in capfd.readouterr().err and list((here / "there").iterdir()) == []


# --- passphrases, on a real terminal


def typed(here: Path, words: list[str], answers: list[str]) -> tuple[int, str]:
    """Runs it on a terminal of its own, and answers each prompt; exit code, and what stood there."""
    program, terminal = pty.fork()
    if program == 0:
        os.chdir(here)
        os.execv(sys.executable, [sys.executable, "-m", "firmware.flash", "--language", "en", *words])
    said, answered, ends_s = b"", 0, time.monotonic() + PROMPT_S_MAX
    while time.monotonic() < ends_s:
        if terminal in select.select([terminal], [], [], 0.5)[0]:
            try:
                said += os.read(terminal, 4096)
            except OSError:  # the program has closed it
                break
            if answered < len(answers) and said.count(b": ") > answered:
                os.write(terminal, answers[answered].encode() + b"\n")
                answered += 1
    os.close(terminal)
    _, status = os.waitpid(program, 0)
    return os.waitstatus_to_exitcode(status), said.decode()


def test_a_passphrase_is_asked_for_and_never_shown(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    good = "correct horse battery"
    code, said = typed(here, ["release", "key", "anna.pem"], [good, good])
    assert code == 0 and good not in said and "anna.pub" in said, said
    assert b"ENCRYPTED" in (here / "anna.pem").read_bytes()
    for answers in (["short"], [good, good + "x"]):
        code, said = typed(here, ["release", "key", "boon.pem"], answers)
        assert code == 1 and "7242" in said and not (here / "boon.pem").exists(), said
    assert kgo_flash("release", "init", "releases", "--test-keys") == 0
    assert kgo_flash("release", "rotate-root", "releases", "--add", "root=anna.pub") == 0
    sign = ["release", "sign-root", "releases/root-change", "--key", "anna.pem"]
    code, said = typed(here, sign, ["another passphrase"])
    assert code == 1 and "7211" in said, said
    code, said = typed(here, sign, [good])
    assert code == 0 and "new keys 1 of 2" in said and good not in said, said


def test_nobody_there_to_type_a_passphrase(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a timer, or without a terminal: its own number, no stack of calls, and no half of a key."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    words = [sys.executable, "-m", "firmware.flash", "--language", "en", "release", "key", "anna.pem"]
    ran = subprocess.run(
        words, cwd=here, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, start_new_session=True
    )
    assert ran.returncode == 1 and ran.stderr.startswith("7242 ") and ran.stdout == "", ran.stderr
    assert list(here.iterdir()) == []


def test_a_full_disk_is_the_officers_and_not_a_tills(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (here / "seed").mkdir()
    (here / "disk").mkdir()
    assert kgo_flash("release", "init", "seed/releases", "--test-keys") == 0
    refresh = (sys.executable, "-m", "firmware.flash", "--language", "en", "release", "refresh", "releases")
    filled = ("sh", "-c", 'cat /dev/zero >filler 2>/dev/null; "$@"; echo $?; rm filler; "$@"', "sh", *refresh)
    words = on_small_disk(here / "disk", "1m", here / "seed", filled)
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.stderr.startswith("7241 ") and ran.stdout.startswith("1\n"), ran
    assert ran.returncode == 0 and "Renewed" in ran.stdout, ran
