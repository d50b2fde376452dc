"""The house rules that linters do not know, over the whole tree. Each rule is first shown to catch a bad sample.

Never runs product code beyond importing refusals, texts and parts. DESIGN §2, §3; CONTRIBUTING names the rules.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from offline_ledger.terminal.bundle.log_lines import PARTS

ROOT = Path(__file__).parent.parent
PACKAGES = ("offline_ledger", "pos_app", "bus_validator", "firmware", "simulators", "tests")
LINES_MAX = 500
LINES_MAX_OF = {"offline_ledger/errors.py": 4000}
"""The one catalogue of refusals stays one file, so that a number cannot be given twice."""
MONEY_CODE = (
    "offline_ledger/money.py",
    "offline_ledger/errors.py",
    "offline_ledger/protocol/**/*.py",
    "offline_ledger/rules/**/*.py",
    "offline_ledger/terminal/acceptor.py",
    "offline_ledger/terminal/outcome.py",
    "offline_ledger/terminal/till_vouchers.py",
    "offline_ledger/city/accounts.py",
    "offline_ledger/city/audit_*.py",
    "offline_ledger/city/cover.py",
    "offline_ledger/city/day_close.py",
    "offline_ledger/city/decisions.py",
    "offline_ledger/city/deposits.py",
    "offline_ledger/city/judging.py",
    "offline_ledger/city/returning.py",
    "offline_ledger/city/posting*.py",
    "offline_ledger/city/pricing.py",
    "pos_app/counter/*.py",
    "pos_app/desk/[fprsv]*.py",
    "pos_app/page/formats.py",
    "pos_app/shift_keeper.py",
    "pos_app/promptpay.py",
    "pos_app/sale.py",
    "bus_validator/annul.py",
    "bus_validator/boarding.py",
    "bus_validator/waybill*.py",
)
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XXX)\b")
ELSEWHERE = re.compile(r"(?<![\w.])/(work|root|home/\w+|tmp/lab)/")
SKIPPED = re.compile(r"pytest\.(mark\.(skip|skipif|xfail)|skip|xfail|importorskip)\b|unittest\.mock|MagicMock")

NAMING_PARTS = ("note", "_note", "add_device", "OwnFile", "Part")
"""Calls whose first word is a part of a terminal: of its troubles, its devices, its own files, its diagnosis."""

Finding = str
Rule = Callable[[ast.Module], Iterator[Finding]]


def modules() -> list[Path]:
    """Every Python module of the project, with its path from the root."""
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in found if "typings" not in path.parts]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


# --- rules over syntax trees


def called(node: ast.Call) -> str:
    """The last name of what is called: `sleep` of `time.sleep(1)`; empty: it has none."""
    what = node.func
    return what.attr if isinstance(what, ast.Attribute) else what.id if isinstance(what, ast.Name) else ""


def no_floats(tree: ast.Module) -> Iterator[Finding]:
    """Amounts are integers: no float literal, no float(), no true division."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"line {node.lineno}: float {node.value}"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield f"line {node.lineno}: true division"
        elif isinstance(node, ast.Name) and node.id == "float":
            yield f"line {node.lineno}: float"


def no_print(tree: ast.Module) -> Iterator[Finding]:
    """Only what speaks to a person on a terminal prints."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"line {node.lineno}: print"


def has_docstring(tree: ast.Module) -> Iterator[Finding]:
    """A module says its job."""
    if len(ast.get_docstring(tree) or "") < 10:
        yield "no module docstring"


def no_globals(tree: ast.Module) -> Iterator[Finding]:
    """State is passed in; nothing rebinds a module's names from within a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield f"line {node.lineno}: global {', '.join(node.names)}"


def no_refusal_class(tree: ast.Module) -> Iterator[Finding]:
    """Refusals live in errors.py, where their numbers stand side by side."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for line in node.body:
                names = ast.unparse(line).partition("=")[0] if isinstance(line, ast.Assign) else ""
                if "number" in re.split(r"\W+", names) and "key" in re.split(r"\W+", names):
                    yield f"line {node.lineno}: refusal {node.name}"


def no_bare_sleep(tree: ast.Module) -> Iterator[Finding]:
    """Tests poll with a deadline: a sleep stands only inside a loop."""
    inside = {id(node) for loop in ast.walk(tree) if isinstance(loop, ast.While | ast.For) for node in ast.walk(loop)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node).endswith("sleep") and id(node) not in inside:
            yield f"line {node.lineno}: sleep outside a loop"


def no_written_help(tree: ast.Module) -> Iterator[Finding]:
    """What a command or option is for stands in the catalogue in two languages, never beside the option."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = called(node)
            written = [key.arg for key in node.keywords if key.arg in ("help", "description", "epilog", "title")]
            if (
                name in ("add_argument", "add_parser", "add_subparsers", "add_argument_group", "common_option")
                and written
            ):
                yield f"line {node.lineno}: {', '.join(map(str, written))} written in code"
            if name == "ArgumentParser":
                yield f"line {node.lineno}: argparse's own parser instead of texts.command_line.Parser"


def no_unnamed_part(tree: ast.Module) -> Iterator[Finding]:
    """What has a trouble is a part that a bundle's log may name: any other is left out of what a technician sends."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and called(node) in NAMING_PARTS:
            part = node.args[0]
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value not in PARTS:
                yield f"line {node.lineno}: part {part.value} is not in bundle/log_lines.py"


BAD_SAMPLES: list[tuple[Rule, str]] = [
    (no_floats, "fare = 1.5"),
    (no_floats, "fare = total / 2"),
    (no_floats, "fare /= 2"),
    (no_floats, "fare = float(text)"),
    (no_print, "print('paid')"),
    (has_docstring, "import os"),
    (no_globals, "def f():\n    global total\n    total = 1"),
    (no_refusal_class, "class Lost(Refusal):\n    number, key, waiting_helps = 1001, 'lost', True"),
    (no_bare_sleep, "import time\ntime.sleep(1)"),
    (no_written_help, "parser.add_argument('--name', help='the name')"),
    (no_written_help, "commands.add_parser('go', help=f'go {x}')"),
    (no_written_help, "parser = argparse.ArgumentParser(prog='x')"),
    (no_unnamed_part, "self._troubles.note('engine', refusal)"),
    (no_unnamed_part, "OwnFile('diary', path, Lost, Lost)"),
]


@pytest.mark.parametrize(("rule", "sample"), BAD_SAMPLES)
def test_each_rule_catches_its_bad_sample(rule: Rule, sample: str) -> None:
    assert list(rule(ast.parse(sample)))


@pytest.mark.parametrize(
    ("rule", "sample"),
    [
        (no_floats, "fare = total // 2"),
        (no_print, "journal.print_receipt()"),
        (no_bare_sleep, "while not done():\n    time.sleep(0.01)"),
        (no_written_help, "parser.add_argument('--name', metavar='NAME')"),
        (no_unnamed_part, "self._troubles.note('clock', refusal)"),
    ],
)
def test_rules_leave_good_code_alone(rule: Rule, sample: str) -> None:
    assert not list(rule(ast.parse(sample)))


# --- the tree


MAY_PRINT = re.compile(r"(^simulators/|^tests/bench/|/__main__\.py$|/cli\w*\.py$)")
OWN_DESKS = re.compile(r"^(tests|simulators)/(?!__main__)|/command_line\.py$")
"""Simulated devices that a developer starts alone speak English; `kgo-sim` itself does not."""
TERMINALS = re.compile(r"^(offline_ledger/terminal|bus_validator|pos_app)/(?!.*self_?test)")
"""A self-test names what a technician tries, which no log has."""
HOLDS_FOR: dict[Rule, Callable[[str], bool]] = {
    no_print: lambda name: not MAY_PRINT.search(name),
    no_written_help: lambda name: not OWN_DESKS.search(name),
    has_docstring: lambda _name: True,
    no_globals: lambda _name: True,
    no_refusal_class: lambda name: not name.endswith("/errors.py"),
    no_unnamed_part: lambda name: bool(TERMINALS.match(name)),
    no_bare_sleep: lambda name: name.startswith("tests/"),
}
"""Each rule, and the modules that it holds for."""


def test_money_code_has_no_floats() -> None:
    paths: list[Path] = []
    for pattern in MONEY_CODE:
        matched = sorted(ROOT.glob(pattern))
        assert matched, f"{pattern} matches nothing: was it renamed?"
        paths += matched
    assert not [f"{name_of(path)}: {said}" for path in paths for said in no_floats(tree_of(path))]


def test_every_rule_holds_for_its_modules() -> None:
    """Each module is parsed once, for all of them."""
    wrong: list[Finding] = []
    for path in modules():
        name, tree = name_of(path), tree_of(path)
        wrong += [f"{name}: {said}" for rule, holds in HOLDS_FOR.items() if holds(name) for said in rule(tree)]
    assert wrong == []


def test_the_rules_see_what_they_are_about() -> None:
    assert list(no_refusal_class(tree_of(ROOT / "offline_ledger/errors.py")))
    names = {name_of(path) for path in modules()}
    assert {"simulators/__main__.py", "offline_ledger/city/cli.py"} <= {
        name for name in names if HOLDS_FOR[no_written_help](name)
    }


def test_tests_skip_nothing() -> None:
    for bad in ("@pytest.mark.skip", "pytest.importorskip('x')", "from unittest.mock import patch"):
        assert SKIPPED.search(bad)
    others = [path for path in modules() if name_of(path).startswith("tests/") and path != Path(__file__)]
    assert [name_of(path) for path in others if SKIPPED.search(path.read_text(encoding="utf-8"))] == []


def test_files_are_small() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {name: n for name, n in lengths.items() if n > LINES_MAX_OF.get(name, LINES_MAX)} == {}


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in modules()}
    assert [name_of(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_nothing_unfinished_and_no_path_of_one_machine() -> None:
    assert UNFINISHED.search("# TODO later")
    assert ELSEWHERE.search('open("/home/somebody/key")')
    texts = [
        *modules(),
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *(one for one in ROOT.glob(".ci/*") if one.is_file()),
        ROOT / "Makefile",
    ]
    others = {name_of(path): path.read_text(encoding="utf-8") for path in texts if path != Path(__file__)}
    assert [name for name, text in others.items() if UNFINISHED.search(text) or ELSEWHERE.search(text)] == []
