"""What an audit can find, by key, and how it is said in Thai and English. DESIGN §8. Never looks at a ledger itself.

A finding is `audit.finding.<what>` of the catalogue with its values, at a place `audit.at.<kind>`; one that is a
refusal by number is said by the refusal's own title.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from offline_ledger.errors import Refusal, VoucherSignatureWrong
from offline_ledger.texts import Texts

FINDINGS_MAX = 1_000
DAMAGED = (
    Refusal,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    OverflowError,
    AssertionError,
)
"""What reading stored bytes or rows ends in when they are no longer what was once stored."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where: a kind (`voucher`, `device`, `event`, `posting`, `account`, `currency`, `wallet`, `equivocation`, `log`,
    `allowance`, `bulletin`, `trust_list`, `refund_request`) and its own name."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold. `is_device_fault`: the ledger is right, a device signed badly."""

    what: str
    where: Place
    values: tuple[tuple[str, str], ...] = ()
    refusal: type[Refusal] | None = None
    is_device_fault: bool = False


class Findings:
    """Collects up to FINDINGS_MAX; counts all."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.count = 0
        self.faults = 0

    def add(self, what: str, where: Place, *, refusal: type[Refusal] | None = None, **values: object) -> None:
        """One more finding against the ledger."""
        named = tuple((name, str(value)) for name, value in values.items())
        self._keep(Finding(what, where, named, refusal))

    @contextmanager
    def unharmed(self, where: Place) -> Generator[None]:
        """Whatever cannot be read at this place is one more finding, and the audit goes on after it."""
        try:
            yield
        except DAMAGED as error:
            self.add("row_damaged", where, refusal=type(error) if isinstance(error, Refusal) else None)

    def add_bad_signature(self, where: Place) -> None:
        """A voucher that its device signed badly under a good head: the device's fault, and it stays posted."""
        self.faults += 1
        self._keep(Finding("voucher_signature", where, (), VoucherSignatureWrong, is_device_fault=True))

    def _keep(self, finding: Finding) -> None:
        self.count += 1
        # a thousand bad devices must not hide one fault of the ledger
        if len(self.kept) < FINDINGS_MAX:
            self.kept.append(finding)
        elif not finding.is_device_fault:
            for at in range(len(self.kept) - 1, -1, -1):
                if self.kept[at].is_device_fault:
                    self.kept[at] = finding
                    return

    @property
    def is_ok(self) -> bool:
        """Nothing is wrong with the ledger itself."""
        return self.count == self.faults


def voucher_at(record: str, sequence: int) -> Place:
    """The place of a voucher."""
    return Place("voucher", f"{record}/{sequence}")


def text_of(texts: Texts, finding: Finding) -> str:
    """What was found, for a person."""
    why = f"{finding.refusal.number} {texts.title(finding.refusal)}" if finding.refusal is not None else ""
    if finding.what == "voucher_signature":
        return why
    return texts.get(f"city.audit.finding.{finding.what}", why=why, **dict(finding.values))


def place_of(texts: Texts, finding: Finding) -> str:
    """Where, for a person."""
    return texts.get(f"city.audit.at.{finding.where.kind}", name=finding.where.name)
