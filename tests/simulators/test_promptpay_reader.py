"""The simulated bank app reads the codes that the till shows, as pictures, and refuses what is none."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import ImageFilter

from offline_ledger.errors import PromptPayUnreadable
from pos_app.promptpay import parse_target, payload
from simulators.promptpay_reader import read_code, shown
from simulators.qr_picture import qr_picture


@pytest.mark.parametrize(
    ("target", "name", "satang", "reference", "line"),
    [
        ("081-234-5678", "", 1_234_50, "", "pay 1,234.50 THB to mobile 081-…5678"),
        ("0105562074027", "SOMTAM SHOP", None, "", "pay any amount to id …4027 SOMTAM SHOP"),
        ("wallet:012345678901234", "", 1, "R1", "pay 0.01 THB to wallet …1234"),
        ("biller:010753700088205/B1", "KKU", 20_00, "R12", "pay 20.00 THB to biller …8205 KKU, reference R12"),
    ],
)
def test_a_code_travels_as_a_picture(target: str, name: str, satang: int | None, reference: str, line: str) -> None:
    text = payload(parse_target(target, name), satang, reference)
    picture = qr_picture(text, module_px=4).filter(ImageFilter.GaussianBlur(1.2))
    assert shown(read_code(picture)) == line


def test_a_wallets_code_is_none_of_its_own() -> None:
    with pytest.raises(PromptPayUnreadable):
        read_code(qr_picture("KGO1P:ABC", module_px=4))


def test_a_process_of_its_own(tmp_path: Path) -> None:
    picture = tmp_path / "code.png"
    qr_picture(payload(parse_target("0812345678"), 5_00), module_px=4).save(picture)
    command = [sys.executable, "-m", "simulators.promptpay_reader"]
    read = subprocess.run([*command, str(picture)], capture_output=True, text=True, timeout=20, check=False)
    assert (read.returncode, read.stdout) == (0, "pay 5.00 THB to mobile 081-…5678\n")
    none = subprocess.run([*command, str(tmp_path / "no")], capture_output=True, text=True, timeout=20, check=False)
    assert none.returncode == 1 and none.stdout.startswith("error")
