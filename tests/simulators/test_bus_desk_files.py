"""Scenario files for the bus on the desk: every mistake is found at once, with its line; the shipped one has none."""

from pathlib import Path

import pytest

from simulators import bus_desk
from simulators.bus_desk.hands import Hands
from simulators.bus_desk.play import sounds_of
from simulators.bus_desk.scenario import FILE_BYTES_MAX, STEPS_MAX, ScenarioWrong, read_scenario
from simulators.bus_desk.watch import Seen
from simulators.bus_desk.words import ACTIONS, CHOICES, mistake_in

GOOD = '[[step]]\nname = "a"\ndo = "ride Mali"\nlight = "wait"\n'


def mistakes(folder: Path, content: str | bytes) -> tuple[str, ...]:
    file = folder / "scenario.toml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ScenarioWrong) as caught:
        read_scenario(file)
    return caught.value.mistakes


@pytest.mark.parametrize("name", ["full_trip", "troubles"])
def test_the_shipped_ones_are_sound(name: str) -> None:
    found = read_scenario(Path(bus_desk.__file__).parent / f"{name}.toml")
    assert len(found.steps) > 20 and found.has_cards
    assert all(step.thai for step in found.steps), "Thai first"


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    content = """\
name = "x"
seed = "eight"
colour = "red"
theme = "dusk"
[[step]]
name = "no action"
light = "wait"
[[step]]
name = "unknown action"
do = "fly to the moon"
light = "green"
[[step]]
name = 7
do = "ride Mali"
light = "wait"
[[step]]
name = "unknown who"
do = "ride Nobody"
light = "wait|purple"
refusal = "many"
[expect]
boardings = "two"
profit = 1
"""
    found = mistakes(tmp_path, content)
    lines = [int(one.split(":")[0].removeprefix("line ")) for one in found]
    assert lines == sorted(lines)
    assert set(lines) == {2, 3, 4, 5, 10, 11, 13, 20, 22, 23}, found
    assert {"line 2: 'seed' must be a whole number", "line 13: 'name' must be a text"} <= set(found)


def test_a_step_with_its_types_right_is_judged_by_its_words(tmp_path: Path) -> None:
    found = mistakes(tmp_path, GOOD + GOOD.replace("Mali", "Nobody").replace("wait", "wait|purple"))
    assert [one.split(":")[0] for one in found] == ["line 7", "line 8"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", 1),
        ("name = \n", 1),
        (GOOD + "[[step\n", 5),
        (b"name = '\xff'\n", 1),
        (b"\n\nname = '\xff'\n", 3),
        ("# x\n" * (FILE_BYTES_MAX // 4 + 1), 1),
        ("step = [1]\n", 1),
        ("step = 5\n", 1),
        (GOOD + "expect = 5\n", 5),
        (GOOD * (STEPS_MAX + 1), 4 * STEPS_MAX + 1),
        (GOOD.replace('"a"', f'"{"a" * 101}"'), 2),
        (GOOD.replace("ride Mali", "ride " + "Mali " * 30), 3),
        ("seed = -1\n" + GOOD, 1),
        (f"seed = {2**32 + 1}\n" + GOOD, 1),
    ],
    ids=[
        "empty",
        "syntax",
        "header",
        "utf8",
        "utf8_3",
        "long",
        "row",
        "table",
        "expect",
        "steps",
        "name",
        "do",
        "below",
        "above",
    ],
)
def test_one_mistake(tmp_path: Path, content: str | bytes, line: int) -> None:
    assert [one.split(":")[0] for one in mistakes(tmp_path, content)] == [f"line {line}"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScenarioWrong, match="No such file"):
        read_scenario(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("line", "is_good"),
    [
        ("", False),
        ("ride", False),
        ("ride Mali", True),
        ("ride Mali twice", False),
        ("two_cards", True),
        ("card_torn Kaew after_write", True),
        ("card_torn Kaew nowhere", False),
        ("driver sign-on D-01 274905", True),
        ("driver", False),
        ("driver quit", False),
        ("driver annul\nquit", False),
    ],
)
def test_what_is_an_action(line: str, is_good: bool) -> None:
    assert (mistake_in(line) is None) is is_good


def test_every_action_says_what_it_is_in_both_languages() -> None:
    for action in ACTIONS.values():
        assert action.thai and action.english
        assert any("\u0e00" <= letter <= "\u0e7f" for letter in action.thai)
        assert all(word in CHOICES for choices in action.choices for word in choices)


def test_hands_can_do_what_the_words_promise() -> None:
    assert [word for word in ACTIONS if not callable(getattr(Hands, f"_{word}", None))] == []
    guide = (Path(bus_desk.__file__).parents[2] / "docs" / "bus-desk.md").read_text(encoding="utf-8")
    assert [word for word in ACTIONS if f"`{word}" not in guide] == []


def test_sounds_belong_to_their_light() -> None:
    seen = [
        Seen(0, "light", "accepted"),
        *(Seen(at, "tone", hertz) for at, hertz in ((0, 1319), (90_000, 1976), (90_010, 1976), (200_000, 0))),
        Seen(300_000, "light", "wait"),
        *(Seen(at, "tone", hertz) for at, hertz in ((310_000, 880), (400_000, 0))),
    ]
    assert sounds_of(seen) == ((1319, 90), (1976, 110))
