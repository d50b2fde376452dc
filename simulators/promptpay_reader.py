"""The customer's bank app: photographs a PromptPay code and says whom it would pay, and how much. DESIGN §11.

It reads with a real decoder and refuses what a careful bank refuses. It pays nobody, and no till ever hears from it:
that the money came is for the cashier to see and to confirm.

    python -m simulators.promptpay_reader picture.png
"""

import argparse
import sys
from pathlib import Path

from PIL import Image

from offline_ledger.errors import PromptPayUnreadable
from offline_ledger.money import format_minor
from pos_app.promptpay import PromptPayCode, PromptPayKind, decode_payload
from simulators.scanner import PictureUnreadable, read_picture

MOBILE_PREFIX = "0066"


def read_code(picture: Image.Image) -> PromptPayCode:
    """What the code in the picture asks for. Raises PictureUnreadable, PromptPayUnreadable."""
    return decode_payload(read_picture(picture))


def shown(code: PromptPayCode) -> str:
    """One line as a bank app shows it before the customer agrees: a name and the last four digits, never all."""
    number = code.target.number
    who = f"{code.target.kind.name.lower()} …{number[-4:]}"
    if code.target.kind is PromptPayKind.MOBILE:
        who = f"mobile 0{number.removeprefix(MOBILE_PREFIX)[:2]}-…{number[-4:]}"
    name = f" {code.target.name}" if code.target.name else ""
    amount = "any amount" if code.amount_satang is None else f"{format_minor(code.amount_satang)} THB"
    reference = f", reference {code.reference}" if code.reference else ""
    return f"pay {amount} to {who}{name}{reference}"


def main() -> int:
    """Read one picture; exit code 1 when a bank would refuse it."""
    parser = argparse.ArgumentParser(prog="simulators.promptpay_reader", description="a bank app that pays nobody")
    parser.add_argument("picture", type=Path)
    try:
        with Image.open(parser.parse_args().picture) as picture:
            print(shown(read_code(picture)))
    except (OSError, PictureUnreadable, PromptPayUnreadable) as error:
        print(f"error {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
