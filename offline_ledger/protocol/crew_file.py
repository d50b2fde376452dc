"""The crew file: who may sign on at a validator, by PIN or by card: bytes <-> values. Pure. DESIGN §1, §4, §5.

A bulletin that travels as a file, signed like the route file (decision 0142). A PIN stands in it as scrypt of salt and
digits. A PIN of six digits is a million guesses, which no hash withstands for long: what guards it is that nobody else
can read the file (mode 0600), and that the validator makes guessing slow. Never holds a PIN.
"""

from collections.abc import Mapping
from hashlib import scrypt
from hmac import compare_digest
from typing import NamedTuple

from offline_ledger.errors import CrewFileWrong, Refusal
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import BULLETIN, Bulletin
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.fields import Field, Layout, fixed, items, row, text, uint
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, PASS_ID_BYTES, Kind
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX

CREW_KIND = 6
"""Its number among the bulletin kinds; not one that sync carries."""
CREW_FILE_BYTES_MAX = CITY_OBJECT_BYTES_MAX
DRIVERS_MAX = 500
CARDS_MAX = 4
"""Of one driver: the one in use, and those that were lost and found again."""
NAME_CHARACTERS_MAX = 64
PIN_DIGITS_MIN, PIN_DIGITS_MAX = 4, 8
SALT_BYTES, HASH_BYTES = 16, 32
SCRYPT_LOG2_N, SCRYPT_R, SCRYPT_P = 12, 8, 4
"""4 MiB, so that a validator of 64 MB can afford it, four times over: 22 ms on a desk, and under half a second on
a Pi Zero 2 (reckoned from that, never measured on a real one)."""
SCRYPT_LOG2_N_MAX, SCRYPT_R_MAX, SCRYPT_P_MAX = 14, 8, 8
SCRYPT_LOG2_N_MIN = 10
_SCRYPT_BYTES_MAX = 64 << 20


class Driver(NamedTuple):
    """One of the crew. `cards`: pass ids of the driver's own KGO cards."""

    driver_id: str
    name: str
    salt: bytes
    pin_hash: bytes
    cards: tuple[bytes, ...]


class Crew(NamedTuple):
    """Everybody who may drive for an operator. `scrypt`: (log2 N, r, p). Every PIN has `pin_digits` digits, so that two
    buttons can enter one without a key for its end."""

    operator: str
    pin_digits: int
    scrypt: tuple[int, int, int]
    drivers: tuple[Driver, ...]

    def driver(self, driver_id: str) -> Driver | None:
        """By id."""
        return next((one for one in self.drivers if one.driver_id == driver_id), None)

    def holder_of(self, pass_id: bytes) -> Driver | None:
        """By one of the cards."""
        return next((one for one in self.drivers if pass_id in one.cards), None)


class SignedCrew(NamedTuple):
    """A crew file as it came: parsed, not yet verified."""

    bulletin: Bulletin
    crew: Crew
    signed: Signed


_ROW_OF_DRIVER = row(
    text(ID_CHARACTERS_MAX),
    text(NAME_CHARACTERS_MAX),
    fixed(SALT_BYTES),
    fixed(HASH_BYTES),
    items(fixed(PASS_ID_BYTES), CARDS_MAX),
)
CREW_FILE = Layout(
    Crew,
    Field(1, "operator", text(ID_CHARACTERS_MAX)),
    Field(2, "pin_digits", uint(PIN_DIGITS_MAX, PIN_DIGITS_MIN)),
    Field(3, "scrypt", row(uint(SCRYPT_LOG2_N_MAX, SCRYPT_LOG2_N_MIN), uint(SCRYPT_R_MAX, 1), uint(SCRYPT_P_MAX, 1))),
    Field(4, "drivers", items(_ROW_OF_DRIVER, DRIVERS_MAX, 1)),
)


def encode_crew(crew: Crew) -> Mapping[int, object]:
    """The body of the bulletin. Raises CrewFileWrong: what nobody could read is never signed."""
    body = CREW_FILE.to_map(crew)
    decode_crew(body)
    return body


def decode_crew(body: Mapping[int, object]) -> Crew:
    """What the body says, judged as a whole. Raises CrewFileWrong."""
    try:
        raw = CREW_FILE.from_map(dict(body))
    except Refusal as refusal:
        raise CrewFileWrong(str(refusal)) from refusal
    found = Crew(raw.operator, raw.pin_digits, raw.scrypt, tuple(Driver(*one) for one in raw.drivers))
    ids = [one.driver_id for one in found.drivers]
    cards = [card for one in found.drivers for card in one.cards]
    if len(set(ids)) < len(ids):
        raise CrewFileWrong("an id twice")
    if len(set(cards)) < len(cards):
        raise CrewFileWrong("a card twice")
    return found


def parse_crew_file(raw: bytes, city: str) -> SignedCrew:
    """Split and judge a file without trusting it; the caller verifies `signed`. Raises CrewFileWrong."""
    try:
        signed = cose.parse_sign1(raw, cose.external_aad(Kind.BULLETIN, city), CREW_FILE_BYTES_MAX)
        bulletin = BULLETIN.decode(signed.payload, CREW_FILE_BYTES_MAX)
    except Refusal as refusal:
        raise CrewFileWrong(str(refusal)) from refusal
    if bulletin.kind != CREW_KIND:
        raise CrewFileWrong(f"a bulletin of kind {bulletin.kind}")
    if bulletin.city != city:
        raise CrewFileWrong(f"of the city {bulletin.city}")
    return SignedCrew(bulletin, decode_crew(bulletin.body), signed)


def is_pin(pin: str, digits: int) -> bool:
    """Exactly so many digits, as they are on a keypad."""
    return len(pin) == digits and pin.isascii() and pin.isdigit()


def pin_hash(pin: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    """scrypt of the digits; slow on purpose, so never on the thread that decides boardings."""
    log2_n, r, p = cost
    return scrypt(pin.encode(), salt=salt, n=1 << log2_n, r=r, p=p, maxmem=_SCRYPT_BYTES_MAX, dklen=HASH_BYTES)


def is_pin_of(driver: Driver, pin: str, crew: Crew) -> bool:
    """Whether these are the driver's digits, in a time that does not depend on how wrong they are."""
    return compare_digest(pin_hash(pin, driver.salt, crew.scrypt), driver.pin_hash)
