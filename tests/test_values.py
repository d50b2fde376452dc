"""Frozen values are built, compared, shown and guarded as frozen dataclasses are."""

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable

import pytest

from offline_ledger.values import frozen, frozen_by_name, names_of, replace


@frozen
class Point:
    """A kind with a default, a property and a method of its own."""

    x: int
    y: int = 7

    @property
    def sum(self) -> int:
        return self.x + self.y

    @classmethod
    def origin(cls) -> "Point":
        return cls(0, 0)


@frozen
class OtherPoint:
    """The same members, another kind."""

    x: int
    y: int = 7


@frozen_by_name
class Named:
    """Members that must be named."""

    first: int
    second: tuple[int, ...] = (2,)


@frozen
class Greeting:
    """A kind that says its own words."""

    name: str

    def __repr__(self) -> str:
        return f"hello {self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class PointAsDataclass:
    """What `Point` is measured against."""

    x: int
    y: int = 7


def test_members_are_taken_by_place_by_name_and_by_default() -> None:
    assert (Point(1).x, Point(1).y, Point(x=1, y=2).y, Point(3, y=4).sum) == (1, 7, 2, 7)
    assert Point.origin() == Point(0, 0)
    assert names_of(Point) == ("x", "y")


@pytest.mark.parametrize("build", [lambda: Point(), lambda: Point(1, 2, 3), lambda: Point(1, z=2), lambda: Named(1)])  # pyright: ignore[reportCallIssue]
def test_wrong_members_are_refused(build: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        build()


def test_equal_means_same_kind_and_same_members() -> None:
    assert Point(1, 2) == Point(1, 2)
    assert Point(1, 2) != Point(1, 3)
    assert Point(1, 2) != OtherPoint(1, 2)
    assert Point(1, 2) != (1, 2)
    assert len({Point(1, 2), Point(1, 2), Point(2, 1)}) == 2
    with pytest.raises(TypeError):
        hash(Point([]))  # pyright: ignore[reportArgumentType]


def test_words_are_those_of_a_dataclass_unless_the_kind_has_its_own() -> None:
    assert repr(Point(1)) == repr(PointAsDataclass(1)).replace("PointAsDataclass", "Point")
    assert repr(Greeting("Khon Kaen")) == "hello Khon Kaen"


def test_nothing_can_be_changed_added_or_taken_away() -> None:
    point = Point(1)
    for change in (
        lambda: setattr(point, "x", 2),
        lambda: setattr(point, "z", 2),
        lambda: delattr(point, "x"),
    ):
        with pytest.raises(AttributeError):
            change()
    assert point == Point(1)
    assert not hasattr(point, "__dict__")


def test_replace_gives_another_value_and_knows_the_members() -> None:
    point = Point(1)
    assert replace(point, y=2) == Point(1, 2)
    assert replace(Named(first=1), second=()) == Named(first=1, second=())
    assert point == Point(1)
    with pytest.raises(TypeError):
        replace(point, z=1)


def test_the_functions_of_dataclasses_work_on_them() -> None:
    assert [field.name for field in dataclasses.fields(Point)] == ["x", "y"]
    assert dataclasses.replace(Point(1), y=2) == Point(1, 2)
    assert dataclasses.replace(Named(first=1), first=3) == Named(first=3)
    assert dataclasses.asdict(Named(first=1)) == {"first": 1, "second": (2,)}


@pytest.mark.parametrize("one", [Point(1, 2), Named(first=1), Greeting("")])
def test_copies_and_pickles_are_equal(one: object) -> None:
    assert copy.deepcopy(one) == copy.copy(one) == pickle.loads(pickle.dumps(one)) == one


def test_they_match_by_place() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_the_constructor_says_its_parameters() -> None:
    assert list(inspect.signature(Point).parameters) == ["x", "y"]
    assert inspect.signature(Named).parameters["first"].kind is inspect.Parameter.KEYWORD_ONLY
