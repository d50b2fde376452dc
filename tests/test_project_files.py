"""What stands beside the code: catalogues, lock files, system packages, the wheel. DESIGN §3, CONTRIBUTING.

Never asks a network: locks are read, not resolved.
"""

import gettext
import importlib.util
import io
import re
import shutil
import string
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from offline_ledger import errors
from offline_ledger.errors import Refusal
from offline_ledger.texts import LANGUAGES, Texts

ROOT = Path(__file__).parent.parent
LOCKS = ("dev", "pos", "bus", "city", "flash", "crosscheck", "panel")
THAI = re.compile(r"[\u0e01-\u0e5b]")
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)( ; .+)? \\$")
HASH = re.compile(r"^ {4}--hash=sha256:[0-9a-f]{64}( \\)?$")
WHEEL_S_MAX = 120


def refusals() -> list[type[Refusal]]:
    """Every refusal class of `errors`, found by its place in the class tree."""
    found: list[type[Refusal]] = []
    waiting = [Refusal]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__ == errors.__name__ and kind.number:
            found.append(kind)
    return sorted(found, key=lambda kind: kind.number)


@pytest.fixture(scope="module")
def compiler() -> ModuleType:
    """`.ci/texts.py`, the compiler behind `make texts`."""
    spec = importlib.util.spec_from_file_location("kgo_compile_texts", ROOT / ".ci" / "texts.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- refusals and their texts


def test_refusal_numbers_and_keys_are_unique() -> None:
    found = refusals()
    assert len(found) > 50
    assert [number for number, times in Counter(kind.number for kind in found).items() if times > 1] == []
    assert [key for key, times in Counter(kind.key for kind in found).items() if times > 1] == []
    assert [kind.__name__ for kind in found if not 1000 <= kind.number <= 9999] == []
    assert [kind.__name__ for kind in found if not re.fullmatch(r"[a-z][a-z0-9_]*", kind.key)] == []


def test_refusals_explain_themselves_to_developers() -> None:
    assert [kind.__name__ for kind in refusals() if not (kind.__doc__ or "").strip()] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_has_title_and_remedy(language: str) -> None:
    texts = Texts(language)
    missing: list[str] = []
    for kind in refusals():
        for part in (texts.title, texts.remedy):
            try:
                said = part(kind)
            except KeyError as absent:
                missing.append(str(absent))
                continue
            if bool(THAI.search(said)) is not (language == "th"):
                missing.append(f"{kind.key}: not in {language}: {said}")
    assert missing == []


def test_no_text_speaks_of_a_refusal_that_is_gone(compiler: ModuleType) -> None:
    known = {kind.key for kind in refusals()}
    for language in LANGUAGES:
        keys = [key.split(".") for key in catalogue(compiler, language) if key.startswith("refusal.")]
        assert sorted({parts[1] for parts in keys} - known) == []


def catalogue(compiler: ModuleType, language: str) -> dict[str, str]:
    path = ROOT / f"offline_ledger/texts/locale/{language}/LC_MESSAGES/kgo.po"
    return compiler.texts_of(compiler.parse_po(path.read_text(encoding="utf-8")))


def places(text: str) -> set[str]:
    """The `{name}` places of a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_both_languages_have_the_same_keys_and_places(compiler: ModuleType) -> None:
    thai, english = catalogue(compiler, "th"), catalogue(compiler, "en")
    assert set(thai) == set(english)
    assert [key for key in thai if key and places(thai[key]) != places(english[key])] == []


@pytest.mark.parametrize("source", sorted((ROOT / "offline_ledger/texts/locale").glob("*/LC_MESSAGES/*.po")), ids=str)
def test_compiled_catalogues_are_in_step(compiler: ModuleType, source: Path) -> None:
    compiled = source.with_suffix(".mo").read_bytes()
    parsed = compiler.parse_po(source.read_text(encoding="utf-8"))
    assert compiler.compile_mo(parsed) == compiled, "run: make texts"
    shipped, texts = gettext.GNUTranslations(io.BytesIO(compiled)), compiler.texts_of(parsed)
    assert texts and [key for key, text in texts.items() if shipped.gettext(key) != text] == []


@pytest.mark.parametrize(
    "bad",
    [
        'msgid "a"\nmsgstr "x"\n\nmsgid "a"\nmsgstr "y"\n',
        'msgid "a"\nmsgstr ""\n',
        'msgid "a"\n',
        'msgid "a"\nmsgstr "x\n',
        "this is no catalogue\n",
        '#, fuzzy\nmsgid "a"\nmsgstr "x"\n',
        'msgid "a"\nmsgid_plural "as"\nmsgstr[0] "x"\n',
    ],
)
def test_a_catalogue_with_a_mistake_is_not_compiled(compiler: ModuleType, bad: str) -> None:
    with pytest.raises(ValueError, match=r"^line "):
        compiler.parse_po(bad)


# --- lock files and system packages


def locked(name: str) -> dict[str, str]:
    """Package → version of one lock file, which holds nothing but pins and hashes."""
    pins: dict[str, str] = {}
    hashed: Counter[str] = Counter()
    package = ""
    for line in (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        pin = PIN.match(line)
        if pin:
            package = pin[1]
            assert package not in pins, f"{name}: {package} twice"
            pins[package] = pin[2]
        else:
            assert HASH.match(line), f"{name}: neither pin nor hash: {line}"
            hashed[package] += 1
    assert set(hashed) == set(pins), f"{name}: a package without a hash"
    return pins


@pytest.mark.parametrize("name", LOCKS)
def test_locks_hold_pins_and_hashes_only(name: str) -> None:
    assert locked(name)


def test_what_runs_on_a_device_is_what_was_tested() -> None:
    desk = locked("dev")
    for name in ("pos", "bus", "city", "flash"):
        assert [pin for pin in locked(name).items() if pin not in desk.items()] == []


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    asked = {name: [*project["dependencies"], *extras[name]] for name in ("pos", "bus", "city", "flash")}
    asked["dev"] = [*project["dependencies"], *(need for needs in extras.values() for need in needs)]
    for name, needs in asked.items():
        names = {re.split(r"[<>=;\[ ]", need, maxsplit=1)[0].replace(".", "-") for need in needs}
        assert sorted(names - set(locked(name))) == []


def test_system_packages_stand_in_one_list() -> None:
    lines = (ROOT / ".ci" / "system-packages.txt").read_text(encoding="utf-8").splitlines()
    packages = [line.split("#")[0].strip() for line in lines]
    assert all("#" in line for line in lines), "each package says what it is for"
    assert len([package for package in packages if package]) == len({package for package in packages if package})
    others = [*(one for one in ROOT.glob(".ci/*") if one.is_file()), ROOT / "Makefile"]
    installing = [path.name for path in others if "apt-get install" in path.read_text(encoding="utf-8")]
    assert installing == ["setup.sh"]


# --- what is shipped


def shipped_files() -> Iterator[str]:
    """Every file of the packages that a program needs at run time."""
    for package in ("offline_ledger", "pos_app", "bus_validator", "firmware", "simulators"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and not {"__pycache__", "typings"} & set(path.parts):
                yield path.relative_to(ROOT).as_posix()


def test_the_wheel_holds_all_of_the_programs_and_no_tests(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in shipped_files():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tree / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, tree / name)
    (tree / "tests").mkdir()
    (tree / "tests" / "__init__.py").write_text('"""Must not be shipped."""\n', encoding="utf-8")
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    built = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=WHEEL_S_MAX,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("kgo_acceptance-*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert sorted(set(shipped_files()) - inside) == []
    assert sorted(inside - set(shipped_files())) == []


# --- documents


def test_documents_link_to_what_is_there() -> None:
    link = re.compile(r"\]\((?!https?:|#)([^)#]+)")
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    found = [(page, target) for page in pages for target in link.findall(page.read_text(encoding="utf-8"))]
    assert found
    assert [f"{page.name}: {target}" for page, target in found if not (page.parent / target).exists()] == []


def test_the_way_through_the_house_names_files_that_exist() -> None:
    named = set(
        re.findall(r"`([a-z_/]+/[a-z_]+\.(?:py|cddl))`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    )
    homes = (ROOT, ROOT / "offline_ledger", ROOT / "offline_ledger" / "terminal")
    assert len(named) > 20
    assert sorted(name for name in named if not any((home / name).exists() for home in homes)) == []


def test_docstrings_name_sections_that_the_design_has() -> None:
    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"^## (\d+)\. ", design, re.MULTILINE))
    cited = re.compile(r"DESIGN ((?:§\d+(?:, | and )?)+)")
    wrong = [
        f"{path.relative_to(ROOT)}: §{number}"
        for package in ("offline_ledger", "pos_app", "bus_validator", "firmware", "simulators", "tests")
        for path in (ROOT / package).rglob("*.py")
        for group in cited.findall(path.read_text(encoding="utf-8"))
        for number in re.findall(r"§(\d+)", group)
        if number not in sections
    ]
    assert wrong == []


def test_help_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    said = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, timeout=30, check=True).stdout
    assert [target for target in phony[1].split() if f"make {target} " not in said] == []
