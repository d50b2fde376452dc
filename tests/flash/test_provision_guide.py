"""docs/bench/provision.md followed literally: its commands, one after the other, against a real city. DESIGN §11.

In `make test` the words of each are judged and the first way is gone; in the soak all of them.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.flash.cli import build_parser as flash_parser
from offline_ledger.city.cli import build_parser as city_parser
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.terminal.commands import build_parser
from offline_ledger.terminal.program import Program
from offline_ledger.texts import Texts
from simulators.demo.city import CityProgram
from tests.flash.provisioned_desk import DeviceFolder
from tests.processes.quick_city import QuickCity

GUIDE = (Path(__file__).parents[2] / "docs" / "bench" / "provision.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
COMMANDS = [line.removeprefix("$ ") for block in BLOCKS for line in block.splitlines() if line.startswith("$ ")]
BUS = Program("kgo-bus", "help.bus", DeviceRole.VALIDATOR, lambda _opened: 0)
(BENCH,) = re.findall(r"^```toml bench.toml\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def test_the_words_of_every_command_are_taken() -> None:
    texts = Texts("en")
    parsers = {
        "kgo-city": city_parser(texts),
        "kgo-flash": flash_parser(texts),
        "kgo-bus": build_parser(BUS, texts),
    }
    assert len(COMMANDS) >= 11
    for line in COMMANDS:
        program, *words = shlex.split(line)
        assert parsers[program].parse_args(words), line


@pytest.fixture
def city(tmp_path: Path) -> Iterator[CityProgram]:
    with QuickCity(tmp_path / "city") as made:
        made.init()
        made.serve()
        yield made


def test_followed_literally(tmp_path: Path, city: CityProgram, soak: bool) -> None:
    (tmp_path / "bench.toml").write_text(BENCH.replace("8443", str(city.port)))
    for device, name in (("bus-8", "bus"), ("bus-9", "bus9"), ("bus-10", "bus10")):
        made = DeviceFolder(tmp_path / device, city, device)
        settings = made.settings.read_text().replace("[scanner]", _files(made.folder) + "[scanner]")
        (tmp_path / f"{name}.toml").write_text(settings)
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said = ""
    for line in COMMANDS if soak else COMMANDS[:2]:
        words = [said.split()[-1] if word in ("TOKEN", "KEY") else word for word in shlex.split(line)]
        done = subprocess.run(words, cwd=tmp_path, env={**os.environ, "PATH": scripts}, capture_output=True, text=True)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        said = done.stdout
    assert "bus-8 of city-bus" in said or (soak and "Done" in said), said


def _files(folder: Path) -> str:
    named = {"key": "device.key", "certificate": "device.cert", "trust_list": "trust.list", "journal": "journal.db"}
    lines = [f'{name} = "{folder / file}"' for name, file in {**named, "deny_list": "deny"}.items()]
    return "\n".join(["[files]", *lines, ""])
