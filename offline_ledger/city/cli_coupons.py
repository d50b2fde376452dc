"""`kgo-city coupons`: prints a sheet of paper coupons, lists the sheets, takes one back. DESIGN §2, §8.

The sheet is in the books before it is signed, and signed before it is a file; when the file cannot be written, the
sheet is taken back at once. Drawing is loaded only to print.
"""

import secrets
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from offline_ledger.city import bulletins, coupons, recover, tables
from offline_ledger.city.console import OK, Console
from offline_ledger.city.coupons import Device, Order, Sheet
from offline_ledger.city.keys import CitySigner
from offline_ledger.city.store import Store
from offline_ledger.errors import Refusal, UsageWrong
from offline_ledger.files import PRIVATE_MODE
from offline_ledger.money import format_minor
from offline_ledger.named_files import check_named, write_named
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.rules.civil import civil_day
from offline_ledger.rules.tariff import Product, decode_tariff

if TYPE_CHECKING:
    from offline_ledger.city.coupon_sheet import Pens

_HEADINGS = ("number", "device", "trip", "last", "kgo", "count", "used", "left", "state", "late_used", "note")


def run(console: Console, said: Namespace) -> int:
    """Which of the four is meant."""
    if said.device is None:
        if said.cancel is not None:
            return _cancel(console, said)
        return _list(console, said) if said.sheet is None else _show(console, said)
    if said.cancel is not None or said.sheet is not None:
        raise UsageWrong((console.texts.get("usage.coupons_alone"),))
    if None in (said.count, said.last_day, said.out) or not said.note.strip():
        raise UsageWrong((console.texts.get("usage.coupons"),))
    return _print(console, said)


def _print(console: Console, said: Namespace) -> int:
    from offline_ledger.city.coupon_sheet import Pens

    now_s, last_day, pens = console.now_s(), console.day(said.last_day), Pens()
    if not 0 <= last_day - civil_day(now_s) <= coupons.DAYS_MAX:
        raise UsageWrong((console.texts.get("usage.coupons_days", days=coupons.DAYS_MAX),))
    departure = coupons.departure_of(said.trip) if said.trip is not None else None
    if departure is not None and not 0 <= last_day - departure.day <= 1:  # a late bus runs into the next day
        first, last = (tables.date_text(departure.day + more, console.language) for more in (0, 1))
        raise UsageWrong((console.texts.get("usage.coupons_trip", trip=said.trip, first=first, last=last),))
    out: Path = said.out
    check_named(out)  # before anything is issued; `write_named` looks again
    with console.store() as store:
        recover.check_may_sign(store, console.city.checkpoint)
        device = coupons.device_of(store, said.device, now_s)
        product, order = _order(console, store, said, device, last_day)
        coupons.check_amounts(order, device, None if said.large_amounts else coupons.USUAL)
        signer = console.keys(store).issuer
        sheet, ids = coupons.write_down(store, order, now_s, secrets.token_bytes)
        try:
            write_named(out, _drawn(console, order, device, product, sheet, ids, signer, pens), PRIVATE_MODE)
        except (Refusal, OSError):
            coupons.cancel(store, sheet, "not printed", now_s)
            raise
    last = tables.date_text(last_day, console.language)
    kgo = format_minor(order.value_kgo)
    console.say(console.text("coupons.done", count=order.count, kgo=kgo, file=out, sheet=sheet, last=last))
    return OK


def _order(
    console: Console, store: Store, said: Namespace, device: Device, last_day: int
) -> tuple[Product | None, Order]:
    """On a bus the tariff says what a ride is; a shop's coupon is worth what the operator says."""
    kgo: int | None = said.kgo
    if device.role is DeviceRole.SHOP:
        if not kgo or said.trip is not None:
            raise UsageWrong((console.texts.get("usage.coupons_shop"),))
        product, name = None, said.product or coupons.SHOP_PRODUCT
    else:
        published = bulletins.newest_bulletin(store, BulletinKind.TARIFF)
        tariff = None if published is None else decode_tariff(published.body)
        product = coupons.product_for(tariff, said.product)
        name, kgo = product.product_id, kgo or product.kgo
    return product, Order(said.device, said.trip, name, kgo, last_day, said.count, said.note.strip())


def _drawn(
    console: Console,
    order: Order,
    device: Device,
    product: Product | None,
    sheet: int,
    ids: list[bytes],
    signer: CitySigner,
    pens: "Pens",
) -> bytes:
    from offline_ledger.city import coupon_sheet
    from offline_ledger.raster_pdf import pdf_of

    city = console.city.city
    signed = coupons.sign(city, signer, order, ids)
    head = console.text("coupons.page", city=city, sheet=sheet, count=order.count)
    face = coupon_sheet.face_of(city, sheet, order, device, product, head)
    return pdf_of(coupon_sheet.pages_of(face, signed, pens), coupon_sheet.DPI, f"KGO coupons, sheet {sheet}")


def _cancel(console: Console, said: Namespace) -> int:
    if not said.note.strip():
        raise UsageWrong((console.texts.get("usage.note_needed", option="--cancel"),))
    with console.store() as store:
        count = coupons.cancel(store, said.cancel, said.note.strip(), console.now_s())
    console.say(console.text("coupons.cancelled_done", count=count, sheet=said.cancel))
    return OK


def _list(console: Console, said: Namespace) -> int:
    now_s = console.now_s()
    with console.store() as store, store.snapshot():
        found, (unlisted, unlisted_kgo) = coupons.sheets(store), coupons.unlisted(store)
        (count, kgo), printed = coupons.outstanding(store, now_s), coupons.sheets_count(store)
    if said.json:
        console.json(
            {
                "sheets": [_as_map(console, sheet, now_s) for sheet in found],
                "sheets_printed": printed,
                "outstanding_kgo": kgo,
                "unlisted": unlisted,
                "unlisted_kgo": unlisted_kgo,
            }
        )
        return OK
    console.table([f"coupons.{key}" for key in _HEADINGS], [_row(console, sheet, now_s) for sheet in found])
    if printed > len(found):
        console.warn(console.text("coupons.more", count=len(found)))
    if found:
        console.say(console.text("coupons.outstanding_all", count=count, kgo=format_minor(kgo)))
    if unlisted:
        console.warn(console.text("coupons.unlisted", count=unlisted, kgo=format_minor(unlisted_kgo)))
    return OK


def _row(console: Console, sheet: Sheet, now_s: int) -> tuple[str | int, ...]:
    note = f"{sheet.note} · {sheet.cancel_note}" if sheet.cancel_note else sheet.note
    return (
        *(sheet.sheet, sheet.device, sheet.trip or "-", console.day_shown(sheet.expires_at_s)),
        *(format_minor(sheet.value_kgo), sheet.count, sheet.used),
        format_minor(sheet.outstanding(now_s) * sheet.value_kgo),
        *(console.text(f"coupons.{_state(sheet, now_s)}"), sheet.after_cancelled, note),
    )


def _state(sheet: Sheet, now_s: int) -> str:
    if sheet.cancelled_at_s is not None:
        return "cancelled"
    if now_s > sheet.expires_at_s:
        return "over"
    return "all_used" if sheet.used >= sheet.count else "good"


def _as_map(console: Console, sheet: Sheet, now_s: int) -> dict[str, object]:
    return {
        "sheet": sheet.sheet,
        "device": sheet.device,
        "trip": sheet.trip,
        "product": sheet.product,
        "value_kgo": sheet.value_kgo,
        "last_day": console.day_text(sheet.expires_at_s),
        "count": sheet.count,
        "used": sheet.used,
        "used_after_cancelled": sheet.after_cancelled,
        "outstanding_kgo": sheet.outstanding(now_s) * sheet.value_kgo,
        "state": _state(sheet, now_s),
        "note": sheet.note,
        "cancel_note": sheet.cancel_note,
    }


def _show(console: Console, said: Namespace) -> int:
    with console.store() as store:
        rows = coupons.coupons_of(store, said.sheet)
    shown = [(coupons.serial(said.sheet, number), device, sequence) for number, device, sequence in rows]
    if said.json:
        console.json([{"number": number, "device": device, "sequence": at} for number, device, at in shown])
        return OK
    lines = [(number, "-" if device is None else f"{device}/{at}") for number, device, at in shown]
    console.table(["coupons.serial", "coupons.where"], lines)
    return OK
