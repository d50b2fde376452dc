"""Draws the desk's views as HTML, in the language that each view names. Decides nothing; reads no disk after a screen
was drawn once. DESIGN §3; the words are `till.page.*` of the catalogue.

What the page itself refused last stays on the screen until the next press that succeeds, or the next light.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from offline_ledger.errors import Refusal
from offline_ledger.texts import LANGUAGES, Texts
from pos_app.page import formats
from pos_app.page.desk_port import View
from pos_app.page.qr_svg import qr_svg

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
WORDS = "till.page."
FOUND_MAX = 30
OWN_REFUSALS = {"till": "refusal.", "customer": "customer.refusal."}
"""Where a screen has words of its own for a refusal: what the catalogue says of it names a command that no page has, or
what a customer cannot do."""


class Renderer:
    """One for all windows. `is_strict`: a value that a view lacks is an error, as tests want it, not an empty place."""

    def __init__(self, *, is_strict: bool = False) -> None:
        self._texts = {language: Texts(language) for language in LANGUAGES}
        self._environment = _environment(is_strict=is_strict)

    def shell(self, kind: str, view: View) -> str:
        """The page itself, with its first screen in it. `kind`: `till` or `customer`."""
        return self._drawn("shell.html", view, kind=kind, own_refusal=None)

    def screen(self, kind: str, view: View, refusal: Refusal | None = None) -> str:
        """What stands between the page's edges. `refusal`: of the press that it answers."""
        return self._drawn(f"{kind}.html", view, kind=kind, own_refusal=refusal)

    def found(self, view: View, goods: Sequence[View], text: str) -> str:
        """The goods that a search found."""
        return self._drawn("found.html", view, goods=goods[:FOUND_MAX], searched=text)

    def trouble(self, refusal: Refusal, language: str, *, is_asked_again: bool = False) -> str:
        """A page of its own for what cannot be drawn or was not asked by us. Links to nothing, runs nothing.
        `is_asked_again`: some seconds after its end has come."""
        more = {"own_refusal": refusal, "is_asked_again": is_asked_again}
        return self._drawn("trouble.html", {"language": language}, **more)

    def _drawn(self, template: str, view: View, **more: object) -> str:
        language = view.get("language")
        first = "en" if language == "en" else "th"
        second = "th" if first == "en" else "en"
        own = OWN_REFUSALS.get(str(more.get("kind", "")), "")
        words, other = _Words(self._texts[first], own), _Words(self._texts[second], own)
        return self._environment.get_template(template).render(
            **{**view, **more}, v=view, w=words, w2=other, lang=first, lang2=second
        )


class _Words:
    """The catalogue as templates ask it: `w('sale.pay')`, and refusals as views carry them."""

    def __init__(self, texts: Texts, own_refusals: str = "") -> None:
        self._texts, self._own_refusals = texts, own_refusals

    def __call__(self, key: str, **values: object) -> str:
        return self._texts.get(WORDS + key, **values)

    def named(self, kind: str, name: object) -> str:
        """`action`, `role` or `trouble` with its name; a word that fits any where the page has none of its own."""
        try:
            return self(f"{kind}.{name}")
        except KeyError:
            return self(f"{kind}.other") if kind in ("action", "trouble") else str(name)

    def title(self, refusal: object) -> str:
        return self._of(refusal, "title")

    def remedy(self, refusal: object) -> str:
        return self._of(refusal, "remedy")

    def number(self, refusal: object) -> str:
        if isinstance(refusal, Refusal):
            return str(refusal.number)
        return str(refusal.get("number", "")) if isinstance(refusal, Mapping) else ""

    def detail(self, refusal: object) -> str:
        if isinstance(refusal, Refusal):
            return self._texts.detail(refusal)
        detail = refusal.get("detail") if isinstance(refusal, Mapping) else None
        return self._texts.detail_text(detail) if isinstance(detail, str) and detail else ""

    def age(self, seconds: object) -> str:
        if not isinstance(seconds, int):
            return formats.NONE
        unit, count = formats.age(seconds)
        return self(f"age.{unit}", count=count)

    def _of(self, refusal: object, part: str) -> str:
        key = refusal.key if isinstance(refusal, Refusal) else ""
        key = refusal.get("key", "") if isinstance(refusal, Mapping) else key
        for said in (f"{WORDS}{self._own_refusals}{key}.{part}", f"refusal.{key}.{part}"):
            try:
                return self._texts.get(said)
            except KeyError:
                continue
        return str(key)


def _environment(*, is_strict: bool) -> "Environment":
    from jinja2 import ChainableUndefined, Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined if is_strict else ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "baht": formats.baht,
        "kgo": formats.kgo,
        "plain": formats.plain,
        "clock": formats.clock,
    }
    made.globals |= {"moment": formats.moment, "day": formats.day, "notes_for": formats.notes_for, "draw_qr": _qr}
    return made


def _qr(text: object, title: str) -> object:
    from markupsafe import Markup

    return Markup(qr_svg(str(text), title))  # made by us of escaped parts alone
