"""A scenario file: steps with the light that each expects, and what journal and ledger must say at the end. DESIGN §11.

All its mistakes are found at once, each with its line. Never carries anything out.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from simulators.bus_desk.desk import SIZES, THEMES
from simulators.bus_desk.watch import LIGHTS
from simulators.bus_desk.words import mistake_in

FILE_BYTES_MAX = 65_536
STEPS_MAX = 300
"""A whole shift; each step may wait 10 s for its light."""
NAME_CHARACTERS_MAX = 100
MISTAKES_MAX = 50
SEED_MAX = 2**32
ANY = "any"
FIGURES = (
    *("boardings", "coupons", "annulled", "coins_satang", "kgo", "refusals_min", "uncharged_greens", "not_charged"),
)
"""What `[expect]` may name: counts, and net sums in satang and 1/100 KGO."""
_TOP: Mapping[str, type] = {"name": str, "thai": str, "seed": int, "size": str, "theme": str, "cards": bool}
_STEP: Mapping[str, type] = {"name": str, "thai": str, "do": str, "light": str, "refusal": int}
_KINDS: Mapping[type, str] = {str: "a text", int: "a whole number", bool: "true or false"}
_NEEDED = ("name", "do", "light")
_HEADER = re.compile(r"\s*\[\[\s*step\s*\]\]")
_TABLE = re.compile(r"\s*\[")
_AT_LINE = re.compile(r"\(at line (\d+)")


class Step(NamedTuple):
    """`lights`: any of them will do; `refusal`: the number in the program's line, 0 for none, None for whatever."""

    name: str
    thai: str
    do: str
    lights: tuple[str, ...]
    refusal: int | None


class Scenario(NamedTuple):
    """What to do, and what must come of it."""

    name: str
    thai: str
    seed: int
    size: str
    theme: str
    has_cards: bool
    steps: tuple[Step, ...]
    expect: Mapping[str, int]


class ScenarioWrong(Exception):
    """Every mistake, each with its line."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


def read_scenario(file: Path) -> Scenario:
    """Raises ScenarioWrong."""
    try:
        with file.open("rb") as stream:
            data = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ScenarioWrong([f"{file}: {error.strerror}"]) from error
    if len(data) > FILE_BYTES_MAX:
        raise ScenarioWrong([f"line 1: more than {FILE_BYTES_MAX} bytes"])
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ScenarioWrong([f"line {data[: error.start].count(10) + 1}: not UTF-8"]) from error
    try:
        table = tomllib.loads(content)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = _AT_LINE.search(str(error))
        raise ScenarioWrong([f"line {found[1] if found else content.count(chr(10)) + 1}: {error}"]) from error
    return _Reader(content, table).read()


class _Reader:
    """One reading: collects mistakes instead of stopping at the first."""

    def __init__(self, content: str, table: Mapping[str, object]) -> None:
        self._lines = content.splitlines()
        self._table = table
        self._headers = [at for at, line in enumerate(self._lines) if _HEADER.match(line)]
        self._found: list[tuple[int, str]] = []

    def read(self) -> Scenario:
        top = {name: value for name, value in self._table.items() if name not in ("step", "expect")}
        self._types(top, _TOP, 0, "the scenario")
        if type(seed := top.get("seed", 1)) is int and not 0 <= seed <= SEED_MAX:
            self._wrong(self._line("seed", 0), f"seed must be from 0 to {SEED_MAX}")
        for name, choices in (("size", tuple(SIZES)), ("theme", THEMES)):
            if isinstance(top.get(name), str) and top[name] not in choices:
                self._wrong(self._line(name, 0), f"{name} is one of: {', '.join(choices)}")
        steps = self._steps()
        expect = self._expect()
        if self._found:
            raise ScenarioWrong([f"line {line}: {text}" for line, text in sorted(self._found)[:MISTAKES_MAX]])
        return Scenario(
            name=str(top.get("name", "")),
            thai=str(top.get("thai", "")),
            seed=cast(int, top.get("seed", 1)),
            size=str(top.get("size", "large")),
            theme=str(top.get("theme", "day")),
            has_cards=bool(top.get("cards", True)),
            steps=steps,
            expect=expect,
        )

    def _steps(self) -> tuple[Step, ...]:
        listed = self._table.get("step")
        if not isinstance(listed, list) or not listed:
            self._wrong(1, "no [[step]]")
            return ()
        rows = cast(list[object], listed)
        if len(rows) > STEPS_MAX:
            self._wrong(self._header(STEPS_MAX) + 1, f"more than {STEPS_MAX} steps")
            return ()
        return tuple(made for at, row in enumerate(rows) if (made := self._step(at, row)) is not None)

    def _step(self, at: int, row: object) -> Step | None:
        start = self._header(at)
        if not isinstance(row, dict):
            self._wrong(start + 1, "a step is a table")
            return None
        said = cast(dict[str, object], row)
        before = len(self._found)
        self._types(said, _STEP, start, f"step {at + 1}")
        for name in _NEEDED:
            if name not in said:
                self._wrong(start + 1, f"step {at + 1} has no {name!r}")
        if len(self._found) > before:
            return None
        mistake = mistake_in(str(said["do"]))
        if mistake is not None:
            self._wrong(self._line("do", start), mistake)
        lights = tuple(str(said["light"]).split("|"))
        for light in lights:
            if light not in (*LIGHTS, ANY):
                self._wrong(
                    self._line("light", start), f"no light {light!r}; there are: {', '.join(sorted(LIGHTS))}, any"
                )
        refusal = cast(int | None, said.get("refusal"))
        return Step(str(said["name"]), str(said.get("thai", "")), str(said["do"]), lights, refusal)

    def _expect(self) -> Mapping[str, int]:
        found = self._table.get("expect", {})
        at = next((number for number, line in enumerate(self._lines) if line.strip() == "[expect]"), 0)
        if not isinstance(found, dict):
            self._wrong(at + 1, "expect is a table")
            return {}
        said = cast(dict[str, object], found)
        self._types(said, dict.fromkeys(FIGURES, int), at, "expect")
        return cast(Mapping[str, int], said)

    def _types(self, said: Mapping[str, object], known: Mapping[str, type], start: int, where: str) -> None:
        for name, value in said.items():
            line = self._line(name, start)
            if name not in known:
                self._wrong(line, f"{where} knows no {name!r}; there are: {', '.join(known)}")
            elif type(value) is not known[name]:
                self._wrong(line, f"{name!r} must be {_KINDS[known[name]]}")
            elif isinstance(value, str) and len(value) > NAME_CHARACTERS_MAX and name != "do":
                self._wrong(line, f"{name!r} has more than {NAME_CHARACTERS_MAX} characters")

    def _header(self, at: int) -> int:
        return self._headers[at] if at < len(self._headers) else 0

    def _line(self, name: str, start: int) -> int:
        """The line of a key at or below a header, before the next one; the header's when it is nowhere."""
        for at in range(start, len(self._lines)):
            if at > start and _TABLE.match(self._lines[at]):
                break
            if re.match(rf"\s*\"?{re.escape(name)}\"?\s*=", self._lines[at]):
                return at + 1
        return start + 1

    def _wrong(self, line: int, text: str) -> None:
        self._found.append((line, text))
