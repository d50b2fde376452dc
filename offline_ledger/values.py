"""Frozen values: what `@dataclass(frozen=True, slots=True)` gives, at a tenth of its cost at start. Pure. DESIGN §10.

`dataclasses` brings Python's source inspector along and compiles seven functions for each class; for the kinds of
values of a validator that was a third of the time from start to ready (decision 0050). Here one function is compiled,
the constructor. Equality, hash, words and refusal to change are as there, and `dataclasses.replace`, `fields` and
`asdict` work on these values too. No inheritance, no default factories, no `__post_init__`, nothing mutable: a class
that needs these stays a dataclass, or writes its own constructor.
"""

from typing import Any, NoReturn, TypeVar, cast, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def frozen(kind: type[T]) -> type[T]:
    """Class decorator: the annotated names are the members, in order."""
    return _made(kind, ["self"])


@dataclass_transform(frozen_default=True, kw_only_default=True)
def frozen_by_name(kind: type[T]) -> type[T]:
    """As `frozen`, but each member must be named when one is built: for kinds with many members of one type."""
    return _made(kind, ["self", "*"])


def names_of(kind: type) -> tuple[str, ...]:
    """The members of a kind, in order."""
    return cast(tuple[str, ...], vars(kind)["__slots__"])


def replace(one: T, **changes: object) -> T:
    """Another value of the same kind with these members changed. TypeError: no such member."""
    kind = type(one)
    return kind(**{name: getattr(one, name) for name in names_of(kind)} | changes)


def _made(kind: type[T], first: list[str]) -> type[T]:
    """The same class with slots, which Python wants to know before a class exists."""
    names = tuple(kind.__annotations__)
    own = {name: part for name, part in vars(kind).items() if name not in ("__dict__", "__weakref__")}
    defaults = {name: own.pop(name) for name in names if name in own}
    fixed = {"__slots__": names, "__match_args__": names, "__qualname__": kind.__qualname__}
    made = cast(type[T], type(kind.__name__, kind.__bases__, _COMMON | own | fixed))
    type.__setattr__(made, "__init__", _constructor(made, first, defaults))
    return made


def _constructor(kind: type, first: list[str], defaults: dict[str, object]) -> object:
    """`def __init__(self, a, b=default_b)` that fills the slots directly. All names in it are ours, from the source."""
    names = names_of(kind)
    space: dict[str, Any] = {f"set_{name}": vars(kind)[name].__set__ for name in names}
    space |= {f"default_{name}": default for name, default in defaults.items()}
    parameters = [f"{name}=default_{name}" if name in defaults else name for name in names]
    lines = [f"def __init__({', '.join(first + parameters)}):", *(f" set_{name}(self, {name})" for name in names)]
    exec("\n".join(lines), space)
    return space["__init__"]


def _members(one: object) -> tuple[object, ...]:
    return tuple([getattr(one, name) for name in names_of(type(one))])


def _is_equal(one: object, other: object) -> bool:
    return _members(one) == _members(other) if type(one) is type(other) else NotImplemented


def _hash(one: object) -> int:
    return hash(_members(one))


def _words(one: object) -> str:
    kind = type(one)
    return f"{kind.__qualname__}({', '.join(f'{name}={getattr(one, name)!r}' for name in names_of(kind))})"


def _parts(one: object) -> tuple[object, tuple[object, ...]]:
    return _built_again, (type(one), _members(one))


def _built_again(kind: type[T], members: tuple[object, ...]) -> T:
    return kind(**dict(zip(names_of(kind), members, strict=True)))


def _refuse_change(one: object, name: str, *_member: object) -> NoReturn:
    raise AttributeError(f"{type(one).__name__}.{name}: a value never changes")


class _FieldsForDataclasses:
    """What the functions of `dataclasses` look for in a class, made when they ask: programs on a terminal never do."""

    def __get__(self, _one: object, kind: type) -> dict[str, object]:
        from dataclasses import fields, make_dataclass

        twin = make_dataclass(kind.__name__, [(name, kind.__annotations__[name]) for name in names_of(kind)])
        return {field.name: field for field in fields(twin)}


_COMMON: dict[str, object] = {
    "__eq__": _is_equal,
    "__hash__": _hash,
    "__repr__": _words,
    "__reduce__": _parts,
    "__setattr__": _refuse_change,
    "__delattr__": _refuse_change,
    "__dataclass_fields__": _FieldsForDataclasses(),
}
