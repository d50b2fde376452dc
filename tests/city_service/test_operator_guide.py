"""The operator's guide, command by command, as it stands in docs/operator.md. DESIGN §1."""

import re
import shlex
from pathlib import Path

from tests.city_service.desk import run

GUIDE = Path(__file__).parents[2] / "docs" / "operator.md"
BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_command_of_the_guide_does_what_the_guide_says(tmp_path: Path) -> None:
    ran = 0
    for language, name, content in BLOCK.findall(GUIDE.read_text("utf-8")):
        if language in ("json", "csv"):
            (tmp_path / name).write_text(content, encoding="utf-8")
        elif language == "console":
            for part in content.split("$ ")[1:]:
                command, *expected = part.splitlines()
                words = shlex.split(command)
                assert words[0] == "kgo-city"
                done = run(*words[1:], folder=tmp_path)
                assert done.returncode == 0, (command, done.stderr)
                for line in expected:
                    assert line in done.stdout + done.stderr, (command, done.stdout)
                ran += 1
    assert ran >= 15


def test_every_command_is_in_the_guide() -> None:
    guide = GUIDE.read_text("utf-8")
    listed = re.findall(r"^    ([a-z]+)  ", run("--help").stdout, re.MULTILINE)
    assert len(listed) >= 15
    for command in listed:
        assert f"kgo-city {command}" in guide or f"`{command} " in guide or f"`{command}`" in guide, command
