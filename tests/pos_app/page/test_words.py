"""The page's words: each key that a template names is there in both languages, none is left over, none is mixed."""

import re
from html import unescape

import pytest

from offline_ledger.errors import PageFormUnfit, SaleWaits
from offline_ledger.texts import LANGUAGES, LOCALE, Texts
from pos_app.counter.flow import WHERE, Screen
from pos_app.counter.permissions import NEEDS, Role
from pos_app.page.actions import FIELDS, fields_of
from pos_app.page.render import TEMPLATES, WORDS, Renderer
from tests.pos_app.page import views

ROOT = TEMPLATES.parents[2]

CUSTOMER = (
    *(
        "title",
        "hello",
        "accepts",
        "ask",
        "ask_qr",
        "ask_scan",
        "asked_by",
        "promptpay",
        "promptpay_scan",
        "thanks",
        "change",
    ),
    *("reward", "refused", "approved", "rest", "due"),
)
TROUBLES = (
    *("wedge", "card", "device", "printer", "drawer", "clock", "sync", "control", "journal", "shop_file", "sales"),
    *("audit_log", "settings", "key", "certificate", "trust_list", "ca_file", "deny_list", "deny_list_changes"),
    *("deny_list_in_use", "people", "key_pin", "update"),
)
FAMILIES = {
    "action": (*NEEDS, "other"),
    "role": [role.name.lower() for role in Role],
    "hint": [screen.value for screen in Screen],
    "link": ("synced", "sending", "offline", "attention"),
    "state": ("paid", "part_refunded", "refunded", "voided"),
    "printed": ("yes", "sent", "waiting", "failed", "no"),
    "tender": ("kgo", "cash", "promptpay", "coupon"),
    "clock": ("holdover", "floor"),
    "light": (
        "accepted",
        "accepted_cash_due",
        "already_accepted",
        "refused",
        "try_again",
        "out_of_service",
        "training",
    ),
    "age": ("minutes", "hours", "days"),
    "shift.reason": ("change", "goods", "bank"),
    "shift.cash": ("float", "in", "out", "back"),
    "trouble": (*TROUBLES, "other"),
    "till": ("title",),
    "customer": CUSTOMER,
    "refusal": ("sale_waits.remedy",),
    "customer.refusal": ("sale_waits.title", "sale_waits.remedy"),
}
"""Keys that templates put together from what the desk says."""
LATIN = {"KGO", "PIN", "QR", "VAT", "Enter", "Esc", "Del", "X", "Z", "F"}
"""What a Thai cashier reads in Latin letters: names of things and of keys."""


def in_templates() -> set[str]:
    found: set[str] = set()
    for file in TEMPLATES.rglob("*.html"):
        found |= set(re.findall(r"\bw2?\('([a-z_.0-9]+)'", file.read_text()))
        found |= {
            one for pair in re.findall(r"\bw\('([a-z_.]+)' if \w+ else '([a-z_.]+)'", file.read_text()) for one in pair
        }
    return {key for key in found if not key.endswith(".")}


def in_catalogue() -> set[str]:
    source = (LOCALE / "th" / "LC_MESSAGES" / "kgo.po").read_text()
    return set(re.findall(rf'msgid "{re.escape(WORDS)}([^"]+)"', source))


def named() -> set[str]:
    return in_templates() | {f"{family}.{name}" for family, names in FAMILIES.items() for name in names}


def test_every_word_of_a_template_is_there_and_none_is_left_over() -> None:
    assert len(in_templates()) > 100
    assert named() - in_catalogue() == set()
    left_over = in_catalogue() - named()
    assert left_over == set(), "no template says these"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_is_of_the_other_language(language: str) -> None:
    texts = Texts(language)
    wrong: list[str] = []
    for key in sorted(in_catalogue()):
        said = re.sub(r"\{\w+\}", "", texts.get(WORDS + key))
        latin = set(re.findall(r"[A-Za-z]+", said))
        thai = re.search(r"[\u0e01-\u0e3a\u0e40-\u0e5b]", said)
        if (language == "th" and latin - LATIN) or (language == "en" and thai):
            wrong.append(f"{key}: {said}")
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sale_that_waits_is_told_in_words_that_fit_who_reads_them(language: str) -> None:
    """The catalogue's own words name commands; a page has none, and a customer has nothing to press."""
    texts, renderer = Texts(language), Renderer(is_strict=True)
    why = {"light": views.light("refused", "", views.refusal(SaleWaits.number, SaleWaits.key))}
    more = {"revision": 1, "boot": "b", "assets": "a", "language": language}
    till = renderer.screen("till", {**views.tills()["wait-scan"], **why, **more})
    customer = renderer.screen("customer", {**views.customers()["refused"], **why, **more})
    cancel = texts.get(WORDS + "wait.cancel")
    assert till.count(cancel) == 2, "the button, and what is said of it"
    for one in LANGUAGES:
        assert Texts(one).get(WORDS + "customer.refusal.sale_waits.remedy") in customer
        assert Texts(one).get(WORDS + "wait.cancel") not in customer
    for html in (till, customer):
        assert texts.remedy(SaleWaits) not in html and "aside" not in html


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_screen_is_drawn_in_one_language(language: str) -> None:
    """Beside names that the shop itself wrote, keys of a keyboard, and what is marked as of another language."""
    renderer = Renderer(is_strict=True)
    for kind, every in (("till", views.tills()), ("customer", views.customers())):
        for name, view in every.items():
            html = renderer.screen(kind, {**views.spoken(view, language), "revision": 1, "boot": "b", "assets": "a"})
            html = re.sub(r'<(kbd|span class="unseen")[^>]*>.*?</[a-z]+>', "", html)
            html = re.sub(r'<(span|p|small|b) [^>]*lang="[^"]+"[^>]*>.*?</\1>', "", html, flags=re.DOTALL)
            said = re.sub(r"<[^>]+>", " ", html)
            if language == "th":
                left = {word for word in re.findall(r"[A-Za-z]{2,}", said)} - LATIN - {"EN", "TRAINING", "KK"}
                assert left <= {"amp", "h2"}, (kind, name, left)
            assert "1795" not in said and "None" not in said, (kind, name)
            year = "2569" if language == "th" else "2026"
            if kind == "till":
                assert f"22/11/{year}" in said, name


def test_every_trouble_that_the_till_can_have_is_named_in_words() -> None:
    """Whatever the sources note under a name; a raw word would stand in the strip."""
    noted: set[str] = set()
    for folder in ("offline_ledger/terminal", "pos_app"):
        for file in (ROOT / folder).rglob("*.py"):
            noted |= set(re.findall(r"""\b_?(?:note|add_device|OwnFile)\(\s*"([a-z_]+)",""", file.read_text()))
    assert {"sync", "clock", "shop_file", "ca_file", "wedge"} <= noted == set(TROUBLES)
    pages = Renderer(is_strict=True)
    for what in (*TROUBLES, "a name of tomorrow"):
        for language in ("th", "en"):
            trouble = {"what": what, "refusal": views.refusal(6001, "scanner_lost")}
            view = views.selling([], troubles=[trouble], language=language) | {"boot": "", "assets": "", "revision": 1}
            said = re.search(r'class="cell trouble">.*?<b>([^:<]+):', pages.screen("till", view))
            assert said is not None and said[1] != what, (what, language)
            assert language == "en" or re.search("[ก-๙]", said[1]), what


@pytest.mark.parametrize("language", LANGUAGES)
def test_how_many_more_troubles_there_are_is_no_part_of_the_remedy(language: str) -> None:
    words, two = Texts(language), [{"what": "device", "refusal": views.refusal(6001, "scanner_lost")}] * 2
    view = views.selling([], troubles=two, language=language) | {"boot": "", "assets": "", "revision": 1}
    told = words.get("refusal.scanner_lost.remedy") + " · " + words.get(WORDS + "trouble.more", count=1)
    assert told in unescape(Renderer(is_strict=True).screen("till", view))


def test_the_page_has_every_action_of_the_desk() -> None:
    assert set(WHERE) - set(FIELDS) == set()


@pytest.mark.parametrize(
    ("action", "form", "fields"),
    [
        ("add_amount", {"typed": "45"}, {"amount": "45"}),
        ("add_amount", {"typed": "3×45.50"}, {"amount": "45.50", "quantity": "3"}),
        ("add_amount", {"typed": " 3*45 "}, {"amount": "45", "quantity": "3"}),
        ("add_item", {"typed": "45", "sku": "a"}, {"sku": "a"}),
        ("add_item", {"typed": "45", "sku": "a", "is_open": "1"}, {"sku": "a", "price": "45"}),
        ("add_item", {"typed": "2×45", "sku": "a", "is_open": "1"}, {"sku": "a", "price": "45", "quantity": "2"}),
        ("add_item", {"typed": "2×", "sku": "a"}, {"sku": "a", "quantity": "2"}),
        ("quantity", {"typed": "4", "line": "7"}, {"line": "7", "quantity": "4"}),
        ("discount", {"typed": "5", "line": "7"}, {"line": "7", "amount": "5"}),
        ("bill_discount", {"typed": "5", "by": "percent"}, {"percent": "5"}),
        ("kgo", {"typed": "", "suggested": "20"}, {"amount": "20"}),
        ("kgo", {"typed": "15", "suggested": "20"}, {"amount": "15"}),
        ("cash", {"typed": "", "suggested": "85.50"}, {"given": "85.50"}),
        ("cash", {"typed": "100", "suggested": "85.50"}, {"given": "100"}),
        ("cash", {"typed": "100", "note": "500"}, {"given": "500"}),
        ("promptpay", {"typed": ""}, {}),
        ("open_shift", {"typed": "2000"}, {"float": "2000"}),
        ("refund", {"number": "9", "q-1": "2", "q-2": "0", "q-3": "", "typed": ""}, {"number": "9", "lines": "1:2"}),
        ("refund", {"number": "9", "q-1": "0", "typed": "12.50"}, {"number": "9", "amount": "12.50"}),
        ("lock", {"typed": "45", "evil": "1"}, {}),
    ],
)
def test_what_is_typed_means_what_the_button_says(action: str, form: dict[str, str], fields: dict[str, str]) -> None:
    assert fields_of(action, form) == fields


def test_more_than_a_form_holds_is_refused() -> None:
    for action, form in (("fly", {}), ("pay", {"x": "1" * 81}), ("refund", {f"q-{n}": "1" for n in range(201)})):
        with pytest.raises(PageFormUnfit):
            fields_of(action, form)
