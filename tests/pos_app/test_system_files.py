"""What a technician installs: units, rules and the launcher say only what systemd, udev, sh and Chromium understand."""

import configparser
import os
import re
import signal
import subprocess
import threading
import time
import tomllib
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from offline_ledger.terminal.headless import SETTINGS
from offline_ledger.terminal.updates import start
from pos_app import settings as till_settings
from tests.conftest import CHROMIUM

ROOT = Path(__file__).parents[2]
SYSTEM = ROOT / "pos_app" / "system"
GUIDE = (ROOT / "docs" / "kiosk.md").read_text(encoding="utf-8")
LAUNCHER = SYSTEM / "kgo-kiosk"
INSTALLED = "/opt/kgo/kgo-kiosk"
START_S_MAX = 30.0
KNOWN = {
    "Unit": "Description Documentation Wants Requires Conflicts After StartLimitIntervalSec",
    "Service": """Type User Group SupplementaryGroups ExecStart Environment StandardInput Restart RestartSec
        RestartPreventExitStatus WatchdogSec TimeoutStopSec StateDirectory StateDirectoryMode RuntimeDirectory
        RuntimeDirectoryMode WorkingDirectory UMask ProtectSystem ProtectHome PrivateTmp NoNewPrivileges
        CapabilityBoundingSet ProtectKernelTunables ProtectKernelModules ProtectKernelLogs ProtectControlGroups
        ProtectHostname RestrictSUIDSGID RestrictRealtime RestrictNamespaces RestrictAddressFamilies
        SystemCallArchitectures LockPersonality MemoryHigh MemoryMax OOMPolicy OOMScoreAdjust CPUWeight Nice
        IPAddressDeny IPAddressAllow""",
    "Install": "WantedBy",
}
"""Of systemd 252, which Raspberry Pi OS has: each was looked up, and `systemd-analyze verify` finds nothing wrong."""
ONE_RULE = re.compile(r'([A-Z]+)(\{[\w]+\})?(==|!=|\+=|=)"([^"]*)"')
MATCHES = {"SUBSYSTEM", "KERNEL", "ATTRS", "ENV"}
ASSIGNS = {"GROUP", "MODE", "SYMLINK", "ENV"}


def unit(name: str) -> configparser.RawConfigParser:
    read = configparser.RawConfigParser(strict=False)
    read.optionxform = str  # type: ignore[assignment, method-assign]
    read.read(SYSTEM / name)
    return read


def launched(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The launcher, with nothing of this machine's session around it."""
    around = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(
        ["sh", str(LAUNCHER), *words], env=around, capture_output=True, text=True, timeout=START_S_MAX, check=False
    )


@pytest.mark.parametrize("name", ["kgo-pos.service", "kgo-pos-kiosk.service"])
def test_the_units_say_what_systemd_knows(name: str) -> None:
    read = unit(name)
    assert set(read.sections()) == set(KNOWN)
    for section, known in KNOWN.items():
        assert set(read[section]) <= set(known.split())
    service = read["Service"]
    assert service["Restart"] == "always" and read["Unit"]["StartLimitIntervalSec"] == "0"
    assert service["WorkingDirectory"] == f"%t/{service['RuntimeDirectory']}"
    assert service["ProtectSystem"] == "strict" and service["NoNewPrivileges"] == "yes"


def test_the_till_runs_as_the_validator_does() -> None:
    service = unit("kgo-pos.service")["Service"]
    assert service["Type"] == "notify" and int(service["WatchdogSec"]) >= 10
    assert "RestartPreventExitStatus" not in service, "a new version that refuses its settings is taken back"
    command, settings = service["ExecStart"].split(" --settings ")
    assert os.path.dirname(settings) == f"/var/lib/{service['StateDirectory']}"
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    launcher, program = command.split()
    assert launcher == f"{start.ROOT}/start" and program in scripts
    assert os.path.commonpath([settings, start.STATE]) == f"/var/lib/{service['StateDirectory']}"
    assert {"dialout", "lp", "input"} <= set(service["SupplementaryGroups"].split())


def test_the_screens_belong_to_another_user_who_reaches_nothing_else() -> None:
    till, screens = unit("kgo-pos.service")["Service"], unit("kgo-pos-kiosk.service")["Service"]
    assert screens["User"] != till["User"] and "input" not in screens["SupplementaryGroups"].split()
    assert (screens["IPAddressDeny"], screens["IPAddressAllow"]) == ("any", "localhost")
    assert int(till["OOMScoreAdjust"]) < 0 < int(screens["OOMScoreAdjust"]), "the browser goes first"
    assert screens["ExecStart"] == INSTALLED and os.access(LAUNCHER, os.X_OK)
    assert f"/{unit('kgo-pos-kiosk.service')['Unit']['Wants']}" == "/kgo-pos.service"


def test_each_file_is_in_the_guide_and_in_the_package() -> None:
    for file in SYSTEM.iterdir():
        assert f"pos_app/system/{file.name}" in GUIDE, f"nobody is told to install {file.name}"
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    assert "system/*" in data["pos_app"]


def test_the_guides_settings_are_settings() -> None:
    example = tomllib.loads(GUIDE.split("```toml\n")[1].split("```")[0])
    named = {f"{section}.{key}" for section, keys in example.items() for key in keys}
    assert named <= {field.name for field in (*SETTINGS, *till_settings.SETTINGS)}
    page = (SYSTEM / "kgo-pos-kiosk.service").read_text(encoding="utf-8")
    assert f"KGO_PAGE=http://127.0.0.1:{example['page']['port']}/ " in page
    assert f"http://127.0.0.1:{example['page']['port']}/" in LAUNCHER.read_text(encoding="utf-8")


def test_the_rules_are_rules() -> None:
    lines = (SYSTEM / "98-kgo-pos.rules").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert len(rules) == 2
    for rule in rules:
        parts = [ONE_RULE.fullmatch(part.strip()) for part in rule.split(", ")]
        assert all(parts), rule
        for part in parts:
            assert part is not None
            assert part[1] in (MATCHES if part[3] in ("==", "!=") else ASSIGNS), rule
    assert 'ENV{LIBINPUT_IGNORE_DEVICE}="1"' in rules[0], "else it types into the page while no program has it"


def test_sway_is_told_which_window_goes_where() -> None:
    told = launched("settings", XDG_RUNTIME_DIR="/run/x", KGO_PAGE="http://127.0.0.1:8010/")
    assert told.returncode == 0 and not told.stderr
    assert told.stdout.splitlines() == [
        "xwayland disable",
        "default_border none",
        "focus_follows_mouse no",
        "focus_on_window_activation none",
        "input type:touch map_to_output HDMI-A-1",
        "seat * hide_cursor 3000",
        "workspace 1 output HDMI-A-1",
        "workspace 2 output HDMI-A-2",
        'assign [app_id="^chrome-127.0.0.1__-Default$"] workspace number 1',
        'assign [app_id="^chrome-127.0.0.1__customer-Default$"] workspace number 2',
        'no_focus [app_id="^chrome-127.0.0.1__customer-Default$"]',
        'for_window [app_id="^chrome-"] fullscreen enable',
        f"exec {LAUNCHER} windows",
    ]
    assert "bindsym" not in told.stdout, "no key leaves the page"
    alone = launched("settings", XDG_RUNTIME_DIR="/run/x", KGO_CASHIER_OUTPUT="DSI-1", KGO_CUSTOMER_OUTPUT="")
    assert "workspace 2 output DSI-1" in alone.stdout and "HDMI" not in alone.stdout


def test_the_launcher_says_what_is_wrong() -> None:
    assert launched("dance", XDG_RUNTIME_DIR="/run/x").returncode == 2
    told = launched()
    assert told.returncode != 0 and "XDG_RUNTIME_DIR" in told.stderr


BROWSER = """case "$*" in
*customer*) echo customer >>"$LOG"; exit 0;;
esac
echo till >>"$LOG"; mkdir -p "$XDG_RUNTIME_DIR/kgo-kiosk"; ln -s x "$XDG_RUNTIME_DIR/kgo-kiosk/SingletonSocket"
exec /bin/sleep 60"""
"""A browser that stays, and takes a second window of its own."""


@pytest.mark.parametrize(
    ("customer", "heard", "is_served", "ends"),
    [
        ("HDMI-A-2", 2, True, False),
        ("HDMI-A-2", 1, True, True),  # one of the two pages crashed
        ("HDMI-A-2", 0, False, False),  # the till is being started again: the pages wait for it
        ("", 1, True, False),
        ("", 0, True, True),
    ],
)
def test_a_page_that_crashed_ends_the_browser(
    tmp_path: Path, customer: str, heard: int, is_served: bool, ends: bool
) -> None:
    """The real launcher with a browser, connections and seconds of our own."""
    log = tmp_path / "log"
    for name, does in {
        "chromium": BROWSER,
        "swaymsg": 'echo "$@" >>"$LOG"',
        "ss": "\n".join(["echo look >>$LOG", *["echo connection"] * heard]),
        "curl": f"exit {int(not is_served)}",
        "sleep": "exec /bin/sleep 0.001",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    around = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log), "XDG_RUNTIME_DIR": str(tmp_path)}
    around |= {"KGO_CUSTOMER_OUTPUT": customer, "KGO_PAGE": "http://127.0.0.1:8010/"}
    launcher = subprocess.Popen(["sh", str(LAUNCHER), "windows"], env=around, start_new_session=True)
    until_s = time.monotonic() + START_S_MAX
    while launcher.poll() is None and (not log.exists() or log.read_text().count("look") < 20):
        assert time.monotonic() < until_s
        time.sleep(0.005)
    said = log.read_text().splitlines()
    opened = ["till", "customer", "--quiet workspace number 1"] if customer else ["till"]
    assert [line for line in said if line not in ("look", "exit")] == opened
    if ends:
        assert launcher.wait(START_S_MAX) == 0 and said.count("look") == 6
        assert log.read_text().splitlines()[-1] == "exit", "sway ends, and systemd starts all anew"
    else:
        assert launcher.poll() is None
        os.killpg(launcher.pid, signal.SIGKILL)
        launcher.wait(START_S_MAX)


class Page(BaseHTTPRequestHandler):
    """A page that has been opened, and what was asked for."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = b"<!doctype html><title>till</title>"
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Not on a terminal."""


@pytest.fixture
def page() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Asked", (Page,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_chromium_opens_the_page_with_the_launchers_flags(tmp_path: Path, page: tuple[str, list[str]]) -> None:
    address, asked = page
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium's sandbox does not start for root
    around = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    command = ["sh", str(LAUNCHER), "window", "--headless=new", "--disable-gpu", *sandbox, f"--app={address}"]
    browser = subprocess.Popen(command, env=around, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until_s = time.monotonic() + START_S_MAX
    while "/" not in asked:
        assert browser.poll() is None and time.monotonic() < until_s
        time.sleep(0.02)
    assert Path(CHROMIUM).exists() and (tmp_path / "kgo-kiosk" / "SingletonLock").is_symlink(), "the profile is there"
    browser.terminate()
    browser.wait(START_S_MAX)
