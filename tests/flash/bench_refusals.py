"""Which refusals `kgo-flash` can raise: read from its source, from the command to the `raise`. DESIGN §11.

Whatever a function or class of `firmware.flash` names is followed into the module that defines it, and so on; what
stands in an annotation is not called. A class counts whole. So nothing is missed that a constructor or an import inside
a function brings.
"""

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

from offline_ledger import errors
from offline_ledger.errors import Refusal

ROOT = Path(__file__).parents[2]
OURS = ("offline_ledger", "firmware")
TOLD_AS_ANOTHER = frozenset((*range(1001, 1014), 1102, 1104, 1107, 3004, 5003))
"""What is wrong inside an object, its signature or its place: the bench names that itself (3003, 3006, 5004, 7314,
7358) and has this beside it."""


class _Module(NamedTuple):
    """`imported`: local name → (module, name in it, "" for the module); `defined`: name → where it is made."""

    imported: dict[str, tuple[str, str]]
    defined: dict[str, ast.stmt]


@cache
def bench_refusals() -> tuple[type[Refusal], ...]:
    """By number."""
    flash = ROOT / "firmware" / "flash"
    todo = [
        (name, defined)
        for path in flash.rglob("*.py")
        if "first_boot" not in path.relative_to(flash).parts  # that one runs on the terminal
        for name in [".".join(path.relative_to(ROOT).with_suffix("").parts)]
        for defined in _module(name).defined
    ]
    seen: set[tuple[str, str]] = set()
    named: set[str] = set()
    while todo:
        place = todo.pop()
        if place in seen or not place[0].startswith(OURS):
            continue
        seen.add(place)
        for module, name in _named_in(*place):
            (named.add(name) if module == errors.__name__ else todo.append((module, name)))
    kinds = [kind for kind in (getattr(errors, name, None) for name in named) if isinstance(kind, type)]
    found = {kind for kind in kinds if issubclass(kind, Refusal) and kind.number}
    shown = (kind for kind in found if kind.number not in TOLD_AS_ANOTHER)
    return tuple(sorted(shown, key=lambda kind: kind.number))


def _named_in(module: str, name: str) -> list[tuple[str, str]]:
    known = _module(module)
    if name not in known.defined:
        return [known.imported[name]] if name in known.imported else []
    found: list[tuple[str, str]] = []
    for node in ast.walk(known.defined[name]):
        if isinstance(node, ast.Name) and node.id in known.defined:
            found.append((module, node.id))
        elif isinstance(node, ast.Name) and node.id in known.imported:
            found.append(known.imported[node.id])
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            source, inner = known.imported.get(node.value.id, ("", "-"))
            found += [(source, node.attr)] if not inner else []
    return found


@cache
def _module(name: str) -> _Module:
    path = _path_of(name)
    if path is None:
        return _Module({}, {})
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = node.module.startswith(OURS) and _path_of(inner) is not None
                imported[alias.asname or alias.name] = (inner, "") if is_module else (node.module, alias.name)
        elif isinstance(node, ast.FunctionDef | ast.AnnAssign | ast.arg):
            _forget_annotation(node)
    defined: dict[str, ast.stmt] = {}
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            defined[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = (node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
            defined |= {node.id: statement for node in names}
    return _Module(imported, defined)


def _path_of(module: str) -> Path | None:
    place = ROOT / module.replace(".", "/")
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def _forget_annotation(node: ast.FunctionDef | ast.AnnAssign | ast.arg) -> None:
    if isinstance(node, ast.FunctionDef):
        node.returns = None
    elif isinstance(node, ast.arg):
        node.annotation = None
    else:
        node.annotation = ast.Constant(None)
