"""What a wallet page is made of: its own files, the vendored ones, the fonts and the words. DESIGN §3, §11.

Read once at the start, so that one page is of one version; `version` is the SHA-256 over all of it.
"""

import json
from gettext import GNUTranslations
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from offline_ledger import texts
from offline_ledger.texts import LANGUAGES

FOLDER = Path(__file__).parent
PAGE, VENDOR = FOLDER / "page", FOLDER / "vendor"
FONTS = Path(texts.__file__).parent / "fonts"
TEXTS_PREFIX = "wallet."
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
_SERVED_VENDOR = (
    "qrcode-generator/qrcode.mjs",
    "zxing-wasm/share.js",
    "zxing-wasm/reader/index.js",
    "zxing-wasm/reader/zxing_reader.wasm",
)
_WORKER, _LIST = "/service_worker.js", "/files.js"


class Served(NamedTuple):
    """One file as it goes out."""

    body: bytes
    media_type: str


def page_files() -> dict[str, Served]:
    """Path → file. `/` is the page; `/files.js` tells its service worker what to keep."""
    found = {f"/{path.name}": _served(path) for path in sorted(PAGE.iterdir()) if path.suffix in _TYPES}
    found["/"] = found.pop("/index.html")
    found |= {f"/vendor/{name}": _served(VENDOR / name) for name in _SERVED_VENDOR}
    found |= {f"/{name}": _served(FONTS / name) for name in ("Sarabun-Medium.ttf", "Sarabun-Bold.ttf")}
    found["/texts.json"] = Served(json.dumps(_words(), ensure_ascii=False).encode(), _TYPES[".json"])
    version = sha256()
    for path, file in sorted(found.items()):
        version.update(path.encode() + b"\0" + sha256(file.body).digest())
    kept = {"version": version.hexdigest()[:16], "paths": sorted(path for path in found if path != _WORKER)}
    found[_LIST] = Served(f"self.KGO_FILES = {json.dumps(kept)};\n".encode(), _TYPES[".js"])
    return found


def _served(path: Path) -> Served:
    return Served(path.read_bytes(), _TYPES[path.suffix])


def _words() -> dict[str, dict[str, str]]:
    """Of each language what the page may say."""
    return {language: _of_catalogue(language) for language in LANGUAGES}


def _of_catalogue(language: str) -> dict[str, str]:
    with (texts.LOCALE / language / "LC_MESSAGES" / "kgo.mo").open("rb") as file:
        found: dict[str, str] = vars(GNUTranslations(file))["_catalog"]
    return {key.removeprefix(TEXTS_PREFIX): text for key, text in found.items() if key.startswith(TEXTS_PREFIX)}
