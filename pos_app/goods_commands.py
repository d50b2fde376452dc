"""The command `kgo-pos catalogue`: goods from a CSV file, to one, and as a list. DESIGN §3.

Opens `shop.db` itself, and is refused while the running program holds it. Takes no payment. What it changes stands in
the audit log, in the same transaction.
"""

import sys
from argparse import Namespace
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from offline_ledger.errors import FileTaken, OutputLost
from offline_ledger.money import format_minor
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.terminal.commands import OwnCommand, check_free, write_new
from offline_ledger.terminal.program import MachineClock, Place
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import Commands, Parser
from pos_app.catalogue_door import read_goods_file
from pos_app.store.audit_log import AuditLog, Entry
from pos_app.store.catalogue import PAGE_MAX, Catalogue
from pos_app.store.catalogue_csv import GoodsMistakes, Judged, exported, import_goods
from pos_app.store.goods import Item
from pos_app.store.shop_file import ShopFile

UNUSED_SHOWN_MAX = 10


def own_commands() -> tuple[OwnCommand, ...]:
    """Those about goods."""
    return (OwnCommand("catalogue", _add, _act),)


@contextmanager
def opened_shop(place: Place) -> Generator[ShopFile, None, None]:
    """The shop's file, for one command. Raises what `ShopFile` raises: ShopFileInUse while the program runs."""
    file = ShopFile(place.path("files.shop"))
    try:
        yield file
    finally:
        file.close()


@contextmanager
def printing() -> Generator[None, None, None]:
    """For a command that prints: who reads no further (`| head`) has seen enough. Raises OutputLost: standard output is
    full or closed."""
    if sys.stdout is None:
        raise OutputLost("standard output is closed")
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = None  # or what it still holds would fail again at the end
    except OSError as error:
        sys.stdout = None
        raise OutputLost(f"standard output: {error.strerror}") from error


def entry_now(action: str, **values: int | str) -> Entry:
    """A row of the audit log for what was done on the command line, by nobody who signed in."""
    return Entry(MachineClock().wall_s(), ClockTrust.FLOOR, "", action, values)


def _add(parser: Parser) -> None:
    todo = Commands(parser, dest="what")
    todo.add("import").add_argument("file", type=Path, metavar="FILE")
    todo.add("export").add_argument("file", type=Path, metavar="FILE")
    shown = todo.add("list")
    shown.add_argument("--search", metavar="TEXT")
    shown.add_argument("--category", metavar="NAME")


def _act(place: Place, given: Namespace, texts: Texts) -> int:
    act: Callable[[Place, Namespace, Texts], None] = {"import": _import, "export": _export, "list": _list}[given.what]
    with printing():
        act(place, given, texts)
    return 0


def _import(place: Place, given: Namespace, texts: Texts) -> None:
    data = read_goods_file(given.file)
    with opened_shop(place) as file:
        catalogue, audit = Catalogue(file), AuditLog(file)

        def row(judged: Judged) -> list[tuple[str, tuple[int | bytes | str | None, ...]]]:
            counts = {"new": judged.new, "changed": judged.changed, "same": judged.same}
            return audit.statements_for(entry_now("catalogue.import", file=given.file.name, **counts))

        try:
            done = import_goods(catalogue, data, row)
        except GoodsMistakes as mistakes:
            sys.stderr.write("".join(f"{given.file}: {line}\n" for line in mistakes.told(texts)))
            raise
        sys.stdout.write("\n".join(told_import(done, catalogue.count(), texts)) + "\n")


def told_import(done: Judged, count: int, texts: Texts) -> list[str]:
    """What an import came to, for a person. `count`: how many items are sold now."""
    counts = {"new": done.new, "changed": done.changed, "same": done.same}
    lines = [texts.get("goods.imported", count=count, **counts)]
    if done.open_price:
        lines.append(texts.get("goods.open_prices", count=done.open_price))
    if done.unused:
        lines.append(texts.get("goods.unused_columns", names=", ".join(done.unused[:UNUSED_SHOWN_MAX])))
    return lines


def _export(place: Place, given: Namespace, texts: Texts) -> None:
    target: Path = given.file
    check_free(place, target)
    shop = place.path("files.shop").resolve()
    if target.resolve().parent == shop.parent and target.name.startswith(shop.name):
        raise FileTaken(f"{target}: file exists")
    with opened_shop(place) as file:
        catalogue = Catalogue(file)
        write_new(target, b"".join(exported(catalogue)))
        sys.stdout.write(texts.get("goods.exported", count=catalogue.count_all(), file=target) + "\n")


def _list(place: Place, given: Namespace, texts: Texts) -> None:
    with opened_shop(place) as file:
        catalogue = Catalogue(file)
        if given.search is not None:
            items = catalogue.search(given.search, PAGE_MAX)
        elif given.category is not None:
            items = catalogue.in_category(given.category)
        else:
            items = [item for item in catalogue.everything() if item.is_active]
        sys.stdout.writelines(_line(item, texts) + "\n" for item in items)
        sys.stdout.write(texts.get("goods.listed", shown=len(items), count=catalogue.count()) + "\n")


def _line(item: Item, texts: Texts) -> str:
    open_price = texts.get("goods.open_price")
    price = open_price if item.price_satang is None else format_minor(item.price_satang)
    return "\t".join((item.sku, price, item.name(texts.language), item.category, " ".join(item.barcodes)))
