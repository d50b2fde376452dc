"""`kgo-sim phone`: one phone by hand, for a person at a desk with a terminal. DESIGN §3, §4.

A thin command over `wallet.py`: it registers and takes an allowance online, and shows codes offline, as text, picture
or blocks in a terminal window. Its keys lie open in its folder: never for a real wallet.
"""

import os
import secrets
import sys
import time
from argparse import Namespace
from pathlib import Path

from offline_ledger.errors import Refusal, WalletSignatureWrong
from offline_ledger.money import format_minor
from offline_ledger.protocol.wallet import CITY_CHARACTERS_MAX, Audience
from offline_ledger.rules.limits import MINUTE_S
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import Commands, amount, short
from simulators.qr_picture import qr_blocks, save_picture
from simulators.wallet import (
    FRESH_S,
    INTENT_LIFE_S,
    CityLink,
    IntentEnded,
    PhoneWallet,
    WalletClosed,
    WalletOffline,
    WalletRefused,
)

OK, REFUSED, USAGE = 0, 1, 2
CITY = "TH-40"
CITY_FILE = "city"
"""In the phone's folder: the city that it is of, said once."""
RIDE_KGO = 10_000
"""What a ride may cost at most: the ordinary bound of an allowance for buses, in 1/100 KGO."""
_PRIVATE = 0o077


def add_phone(commands: Commands, texts: Texts) -> None:
    """The command's words."""
    made = commands.add("phone")
    made.add_argument("folder", type=Path, metavar="DIR")
    made.add_argument("--city", type=short(texts, CITY_CHARACTERS_MAX), metavar="ID")
    made.add_argument("--connect", metavar="URL")
    made.add_argument("--ca", type=Path, metavar="FILE")
    made.add_argument("--invitation", default="", metavar="CODE")
    made.add_argument("--renew", action="store_true")
    shown = made.add_mutually_exclusive_group()
    shown.add_argument("--bus", action="store_true")
    shown.add_argument("--shop", type=amount(texts), metavar="KGO")
    shown.add_argument("--again", action="store_true")
    made.add_argument("--png", type=Path, metavar="FILE")
    made.add_argument("--blocks", action="store_true")


def phone(texts: Texts, said: Namespace) -> int:
    """What was asked of the phone; its exit code. The code alone goes to standard output."""
    os.umask(_PRIVATE)
    if missing := _missing(texts, said):
        return _told(missing, USAGE)
    try:
        city = _city_of(said.folder, said.city)
        if said.city not in (None, city):
            return _told(texts.get("phone.other_city", city=city), USAGE)
        wallet = PhoneWallet(said.folder, city, secrets.SystemRandom())
        if said.connect:
            _connect(texts, wallet, said)
            (said.folder / CITY_FILE).write_text(city, "utf-8")
        return _show(texts, wallet, said) if _is_shown(said) else OK
    except WalletClosed:
        return _told(texts.get("phone.closed"), REFUSED)
    except IntentEnded:
        return _told(texts.get("phone.ended", minutes=INTENT_LIFE_S // MINUTE_S), REFUSED)
    except WalletOffline as error:
        return _told(texts.get("phone.offline", reason=texts.detail_text(str(error))), REFUSED)
    except WalletRefused as refused:
        other = _other_city(texts, said) if refused.number == WalletSignatureWrong.number else None
        return _told(other or texts.get("phone.refused", reason=texts.detail_text(str(refused))), REFUSED)
    except Refusal as refusal:
        return _told(f"{refusal.number} {texts.title(refusal)}", REFUSED)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return _told(texts.get("phone.broken", reason=texts.detail_text(reason)), REFUSED)


def _missing(texts: Texts, said: Namespace) -> str | None:
    """What the words lack, or None."""
    if bool(said.connect) != bool(said.ca):
        return texts.get("usage.together", first="--connect", second="--ca")
    if said.connect and not said.connect.startswith("https://"):
        return texts.get("phone.https", url=said.connect[:80])
    if said.renew and not said.connect:
        return texts.get("phone.renew_where")
    return None if said.connect or _is_shown(said) else texts.get("phone.nothing_asked")


def _is_shown(said: Namespace) -> bool:
    return said.bus or said.again or said.shop is not None


def _city_of(folder: Path, asked: str | None) -> str:
    """The city that this phone is of; until one has answered it, the one that is asked for."""
    kept = folder / CITY_FILE
    return kept.read_text("utf-8").strip() if kept.exists() else asked or CITY


def _other_city(texts: Texts, said: Namespace) -> str | None:
    """Why the city took what this phone signed for a forgery: it is another one. None: it is not, or does not say."""
    city = _city_of(said.folder, said.city)
    try:
        there = CityLink(said.connect, said.ca).city()
    except (WalletOffline, WalletRefused, Refusal, ValueError):
        return None
    key = "phone.city_kept" if (said.folder / CITY_FILE).exists() else "phone.city_there"
    return None if there == city else texts.get(key, city=city, there=there)


def _connect(texts: Texts, wallet: PhoneWallet, said: Namespace) -> None:
    link, now_s = CityLink(said.connect, said.ca), int(time.time())
    link.invitation = said.invitation
    wallet.register(link, now_s)
    if not wallet.state.allowance_hex or wallet.allowance.expires_at_s <= now_s:
        wallet.take_allowance(link, now_s)
    elif said.renew or wallet.state.closing_hex or _is_renewal_due(wallet, link, now_s, _next_kgo(wallet, said)):
        wallet.renew(link, now_s)
    available_kgo, reserved_kgo = wallet.balance(link, now_s)
    amounts = {"available": format_minor(available_kgo), "reserved": format_minor(reserved_kgo)}
    _told(texts.get("phone.connected", account=wallet.account.point.hex(), **amounts), OK)


def _is_renewal_due(wallet: PhoneWallet, link: CityLink, now_s: int, next_kgo: int) -> bool:
    """Whether the code to be shown needs more than is left, and a new allowance would have it."""
    left_kgo = wallet.left_kgo
    if next_kgo <= left_kgo or wallet.state.before_until_s >= now_s:
        return False
    available_kgo, _reserved_kgo = wallet.balance(link, now_s)
    return next_kgo <= left_kgo + available_kgo


def _next_kgo(wallet: PhoneWallet, said: Namespace) -> int:
    """What the code to be shown would authorise."""
    if said.bus:
        return min(RIDE_KGO, wallet.allowance.transit_cap_kgo)
    return said.shop or 0


def _show(texts: Texts, wallet: PhoneWallet, said: Namespace) -> int:
    """The code of a new ride or sale, or again that of the last."""
    if not wallet.state.allowance_hex or (said.again and not wallet.state.n):
        return _told(texts.get("phone.nothing"), REFUSED)
    left_kgo, next_kgo = wallet.left_kgo, _next_kgo(wallet, said)
    if said.bus:  # a ride costs less than its cap: what is left may well do
        next_kgo = min(next_kgo, left_kgo) if left_kgo > 0 else next_kgo
        wallet.new_intent(Audience.TRANSIT, next_kgo)
    elif said.shop is not None:
        wallet.new_intent(Audience.SHOP, said.shop)
    if not said.again and next_kgo > left_kgo:
        _told(texts.get("phone.beyond", left=format_minor(max(0, left_kgo))), OK)
    code = wallet.code(int(time.time()))
    if said.png:
        save_picture(code, said.png)
    if said.blocks:
        _told(qr_blocks(code), OK)
    print(code, flush=True)
    kgo = format_minor(wallet.state.authorised_kgo)
    return _told(texts.get("phone.shown", kgo=kgo, seconds=FRESH_S), OK)


def _told(text: str, code: int) -> int:
    print(text, file=sys.stderr, flush=True)
    return code
