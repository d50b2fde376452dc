"""What is vendored for the wallet page is what its makers published, with licence and source. DESIGN §11."""

import re
from hashlib import sha256

from simulators.wallet_page.files import VENDOR, page_files

LINE = re.compile(r"^([0-9a-f]{64})  (\S+)$", re.MULTILINE)
OWN = {"SOURCES", "qrcode-generator/LICENSE"}
"""Written here."""
OUTSIDE = re.compile(rb"""(?:src|href|from|import\(|fetch\(|url\()\s*=?\s*["'(]?\s*(?:https?:)?//""")


def test_every_vendored_file_is_the_published_one() -> None:
    said = dict((name, digest) for digest, name in LINE.findall((VENDOR / "SOURCES").read_text()))
    there = {path.relative_to(VENDOR).as_posix(): path for path in VENDOR.rglob("*") if path.is_file()}
    assert set(said) == set(there) - OWN
    assert {name: sha256(there[name].read_bytes()).hexdigest() for name in said} == said
    assert {path.parent.parent == VENDOR or path.name for path in there.values() if path.name == "LICENSE"} == {True}
    reader = (VENDOR / "zxing-wasm/reader/index.js").read_text()
    assert said["zxing-wasm/reader/zxing_reader.wasm"] in reader, "the makers' own word for their WebAssembly"


def test_the_pages_own_files_ask_nobody_else() -> None:
    own = {path: file for path, file in page_files().items() if not path.startswith("/vendor/")}
    assert len(own) > 30
    assert [path for path, file in own.items() if OUTSIDE.search(file.body)] == []
    assert [path for path, file in own.items() if b"innerHTML" in file.body or b"eval(" in file.body] == []
