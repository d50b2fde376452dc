"""Paper coupons: a sheet is written down, then signed; what of it was used; taking back what was not. DESIGN §2, §8.

A coupon costs the city nothing until a terminal takes it: then issuance pays its value (decision 0150), so what a sheet
still may cost is a number here and no posting. A coupon that the issuer signed is paid whether or not it stands here:
after a restore it may not. Keeps ids and whose wish it was, nothing about who is given one.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from offline_ledger.city.grants import Usual
from offline_ledger.city.keys import CitySigner
from offline_ledger.city.store import Row, Store
from offline_ledger.errors import (
    CouponDeviceUnfit,
    CouponProductUnknown,
    CouponSheetUnknown,
    CouponsLarge,
    UnknownDevice,
)
from offline_ledger.money import KGO, format_minor
from offline_ledger.protocol import cose, wallet
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.kinds import PASS_ID_BYTES, Kind
from offline_ledger.protocol.wallet import Coupon
from offline_ledger.rules.civil import civil_day, day_of, day_start_s
from offline_ledger.rules.limits import DAY_S
from offline_ledger.rules.tariff import Product, Tariff

COUPONS_MAX = 500
"""On one sheet: 63 pages, what a person cuts in an afternoon, and half a minute of drawing."""
DAYS_MAX = 92
"""From the day of printing; a quarter. `rules.coupon.LIFE_S_MAX` is a day more, for the rest of the last one."""
SHOP_PRODUCT = "coupon"
CANCELLED_KEPT_S = 3 * DAY_S
"""How long after its end a cancelled coupon stays on the deny list: a clock at its floor lags by H and repair."""
SHEETS_SHOWN_MAX = 1_000
_DEPARTURE = re.compile(r"([01])\.([0-9]{8})\.([0-9]{2})([0-5][0-9])")
USUAL = Usual(row_kgo_max=500 * KGO, file_kgo_max=25_000 * KGO)
"""Ten fares on one paper that anybody may lose; a full sheet of one fare each. More must be meant."""


class Departure(NamedTuple):
    """A trip of the timetable: direction, and the day (number) and time at which it leaves by everybody's clock."""

    direction: int
    day: int
    hour: int
    minute: int


@dataclass(frozen=True, slots=True)
class Device:
    """Where coupons shall be good. `owner`: whose name is printed."""

    device: str
    role: DeviceRole
    owner: str
    offline_value_kgo: int


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be printed. `last_day`: civil day number; the coupons end with it."""

    device: str
    trip: str | None
    product: str
    value_kgo: int
    last_day: int
    count: int
    note: str

    @property
    def expires_at_s(self) -> int:
        """The last second of the last day in Bangkok."""
        return day_start_s(self.last_day + 1) - 1


@dataclass(frozen=True, slots=True)
class Printed:
    """One signed coupon. `number` counts from 1 on its sheet."""

    number: int
    signed: Signed


@dataclass(frozen=True, slots=True)
class Sheet:
    """Coupons that were printed together. `used`: posted; `after_cancelled`: of those, after the sheet was taken back,
    by terminals that did not know it yet."""

    sheet: int
    device: str
    trip: str | None
    product: str
    value_kgo: int
    expires_at_s: int
    count: int
    made_at_s: int
    note: str
    cancelled_at_s: int | None
    cancel_note: str
    used: int
    after_cancelled: int

    def outstanding(self, now_s: int) -> int:
        """How many may still be used: none of a sheet that has ended or was taken back."""
        is_over = self.cancelled_at_s is not None or now_s > self.expires_at_s
        return 0 if is_over else self.count - self.used


def departure_of(trip: str) -> Departure | None:
    """What a validator calls a departure, `0.20261130.0735`; None for any other name of a trip. A timetable's 25:10 is
    ten past one of the next day."""
    found = _DEPARTURE.fullmatch(trip)
    if found is None:
        return None
    direction, day, hour, minute = map(int, found.groups())
    try:
        return Departure(direction, day_of(day) + hour // 24, hour % 24, minute)
    except ValueError:
        return None


def device_of(store: Store, device: str, now_s: int) -> Device:
    """A device that takes payments now. Raises UnknownDevice, CouponDeviceUnfit."""
    row = store.one(
        "SELECT d.role, o.name, d.offline_value_kgo, d.blocked, d.revoked_after, d.expires_at_s FROM devices d"
        " JOIN owners o USING(owner) WHERE device = ?",
        (device,),
    )
    if row is None:
        raise UnknownDevice(device)
    role, owner, offline_value_kgo, is_blocked, revoked_after, expires_at_s = row
    if role not in (DeviceRole.SHOP, DeviceRole.VALIDATOR):
        raise CouponDeviceUnfit(f"{device}: role {role}")
    if is_blocked or revoked_after is not None:
        raise CouponDeviceUnfit(f"{device}: blocked or revoked")
    if expires_at_s < now_s:
        raise CouponDeviceUnfit(f"{device}: certificate")
    return Device(device, DeviceRole(role), owner, offline_value_kgo)


def product_for(tariff: Tariff | None, product_id: str | None) -> Product:
    """The fare product of ride coupons: the named one, or the only one. Raises CouponProductUnknown."""
    products = tariff.products if tariff is not None else ()
    found = [one for one in products if product_id in (None, one.product_id)]
    if len({one.product_id for one in found}) != 1:
        raise CouponProductUnknown(product_id or ", ".join(one.product_id for one in products[:8]))
    return found[0]


def check_amounts(order: Order, device: Device, usual: Usual | None) -> None:
    """`usual`: USUAL, or None when large amounts are meant; above F the device could never take it. Raises
    CouponsLarge."""
    if order.value_kgo > device.offline_value_kgo:
        raise CouponsLarge(f"{format_minor(order.value_kgo)} > {format_minor(device.offline_value_kgo)}")
    if usual is None:
        return
    total_kgo = order.value_kgo * order.count
    for kgo, kgo_max in ((order.value_kgo, usual.row_kgo_max), (total_kgo, usual.file_kgo_max)):
        if kgo > kgo_max:
            raise CouponsLarge(f"{format_minor(kgo)} > {format_minor(kgo_max)}")


def write_down(store: Store, order: Order, now_s: int, chance: Callable[[int], bytes]) -> tuple[int, list[bytes]]:
    """A new sheet and the ids of its coupons, durable before anything is signed: a paper that the books do not know
    would be money that nobody sees."""
    assert 1 <= order.count <= COUPONS_MAX and order.value_kgo > 0
    assert now_s <= order.expires_at_s and order.last_day <= civil_day(now_s) + DAYS_MAX
    ids = [chance(PASS_ID_BYTES) for _ in range(order.count)]
    with store.transaction():
        sheet = store.insert(
            "INSERT INTO coupon_sheets(device, trip, product, value_kgo, expires_at_s, count, made_at_s, note)"
            " VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(order.device, order.trip, order.product, order.value_kgo, order.expires_at_s),
                *(order.count, now_s, order.note),
            ),
        )
        rows = [(coupon_id, sheet, number) for number, coupon_id in enumerate(ids, 1)]
        store.execute_many("INSERT INTO printed_coupons VALUES(?, ?, ?)", rows)
    return sheet, ids


def sign(city: str, signer: CitySigner, order: Order, ids: list[bytes]) -> list[Printed]:
    """The coupons of a sheet that is written down."""
    aad, key_id = cose.external_aad(Kind.COUPON, city), signer.key_id
    made: list[Printed] = []
    for number, coupon_id in enumerate(ids, 1):
        coupon = Coupon(city, coupon_id, order.product, order.device, order.trip, order.value_kgo, order.expires_at_s)
        made.append(Printed(number, cose.sign1(wallet.COUPON.encode(coupon), aad, key_id, signer.sign)))
    return made


def serial(sheet: int, number: int) -> str:
    """A coupon's name for people: `12-007`."""
    return f"{sheet}-{number:03d}"


def is_printed(store: Store, coupon: Coupon) -> bool:
    """Whether a sheet has this coupon, to the letter."""
    row = store.one(
        "SELECT s.device, s.trip, s.product, s.value_kgo, s.expires_at_s FROM printed_coupons p"
        " JOIN coupon_sheets s USING(sheet) WHERE p.coupon_id = ?",
        (coupon.coupon_id,),
    )
    return row == (coupon.device, coupon.trip, coupon.product, coupon.value_kgo, coupon.expires_at_s)


def sheets(store: Store) -> list[Sheet]:
    """The newest first; at most SHEETS_SHOWN_MAX."""
    rows = store.fetch(
        "SELECT s.sheet, s.device, s.trip, s.product, s.value_kgo, s.expires_at_s, s.count, s.made_at_s, s.note,"
        " s.cancelled_at_s, s.cancel_note, count(c.coupon_id),"
        " coalesce(sum(c.coupon_id IS NOT NULL AND v.received_at_s > s.cancelled_at_s), 0)"
        " FROM coupon_sheets s JOIN printed_coupons p USING(sheet) LEFT JOIN coupons c USING(coupon_id)"
        " LEFT JOIN vouchers v ON v.device = c.device AND v.sequence = c.sequence"
        " GROUP BY s.sheet ORDER BY s.sheet DESC LIMIT ?",
        (SHEETS_SHOWN_MAX,),
    )
    return [Sheet(*row) for row in rows]


def sheets_count(store: Store) -> int:
    """All that were ever printed."""
    row = store.one("SELECT count(*) FROM coupon_sheets")
    return 0 if row is None else row[0]


def outstanding(store: Store, now_s: int) -> tuple[int, int]:
    """Coupons of all sheets that may still be used, and what they would come to in KGO."""
    row = store.one(
        "SELECT count(*), coalesce(sum(s.value_kgo), 0) FROM coupon_sheets s JOIN printed_coupons p USING(sheet)"
        " WHERE s.cancelled_at_s IS NULL AND s.expires_at_s >= ?"
        " AND NOT EXISTS(SELECT 1 FROM coupons c WHERE c.coupon_id = p.coupon_id)",
        (now_s,),
    )
    return (0, 0) if row is None else (row[0], row[1])


def unlisted(store: Store) -> tuple[int, int]:
    """Coupons that were paid and stand on no sheet, and what they came to: printed before a restore, or by a stolen
    issuer key."""
    row = store.one(
        "SELECT count(*), coalesce(sum(v.kgo), 0) FROM coupons c LEFT JOIN vouchers v USING(device, sequence)"
        " WHERE NOT EXISTS(SELECT 1 FROM printed_coupons p WHERE p.coupon_id = c.coupon_id)"
    )
    return (0, 0) if row is None else (row[0], row[1])


def coupons_of(store: Store, sheet: int) -> list[Row]:
    """(number, device or None, sequence or None) of each: where it was used. Raises CouponSheetUnknown."""
    rows = store.fetch(
        "SELECT p.number, c.device, c.sequence FROM printed_coupons p LEFT JOIN coupons c USING(coupon_id)"
        " WHERE p.sheet = ? ORDER BY p.number",
        (sheet,),
    )
    if not rows:
        raise CouponSheetUnknown(str(sheet))
    return rows


def cancel(store: Store, sheet: int, note: str, now_s: int) -> int:
    """What is not used of a sheet goes on the deny list until its end; how many that are. Said twice, the first counts.

    A terminal learns it with its next sync: what it took before that is paid all the same. Raises CouponSheetUnknown.
    """
    with store.transaction():
        unused = sum(row[1] is None for row in coupons_of(store, sheet))
        store.execute(
            "UPDATE coupon_sheets SET cancelled_at_s = ?, cancel_note = ? WHERE sheet = ? AND cancelled_at_s IS NULL",
            (now_s, note, sheet),
        )
    return unused


def cancelled_ids(store: Store, now_s: int) -> list[bytes]:
    """Unused coupons of cancelled sheets, for the deny list, until their end is long past."""
    rows = store.fetch(
        "SELECT p.coupon_id FROM coupon_sheets s JOIN printed_coupons p USING(sheet)"
        " WHERE s.cancelled_at_s IS NOT NULL AND s.expires_at_s >= ?"
        " AND NOT EXISTS(SELECT 1 FROM coupons c WHERE c.coupon_id = p.coupon_id)",
        (now_s - CANCELLED_KEPT_S,),
    )
    return [row[0] for row in rows]
