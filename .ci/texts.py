"""Compile the text catalogues: every kgo.po beside its kgo.mo. Run by `make texts`. DESIGN §3.

Reads the plain part of the format that our catalogues use (comments, msgid, msgstr, continued lines); anything else,
a doubled key or an empty text is an error with its line. Never translates and never drops a key.
"""

import ast
import struct
import sys
from pathlib import Path

MO_MAGIC = 0x950412DE
HEADER_BYTES = 28
PAIR_BYTES = 8


def parse_po(text: str) -> dict[str, str]:
    """Key → text. The empty key is the catalogue's header. Raises ValueError with the line number."""
    found: dict[str, str] = {}
    parts: dict[str, str] = {}
    field = ""
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        stripped = line.strip()
        if stripped.startswith(("msgid ", "msgstr ")):
            field, _, quoted = stripped.partition(" ")
            if field == "msgid" and parts:
                raise ValueError(f"line {number}: a msgid follows without an empty line between")
            parts[field] = ast.literal_eval(quoted)
        elif stripped.startswith('"') and field in parts:
            parts[field] += ast.literal_eval(stripped)
        elif not stripped:
            if parts:
                _add(found, parts, number)
            parts, field = {}, ""
        elif not stripped.startswith("#"):
            raise ValueError(f"line {number}: not understood: {stripped[:40]}")
    return found


def _add(found: dict[str, str], parts: dict[str, str], number: int) -> None:
    if set(parts) != {"msgid", "msgstr"}:
        raise ValueError(f"line {number}: an entry needs one msgid and one msgstr")
    if parts["msgid"] in found:
        raise ValueError(f"line {number}: {parts['msgid']!r} is there twice")
    if not parts["msgstr"]:
        raise ValueError(f"line {number}: {parts['msgid']!r} has no text")
    found[parts["msgid"]] = parts["msgstr"]


def compile_mo(entries: dict[str, str]) -> bytes:
    """The binary catalogue that Python's gettext reads: sorted keys, two index tables, no hash table."""
    pairs = sorted((key.encode(), text.encode()) for key, text in entries.items())
    table_bytes = PAIR_BYTES * len(pairs)
    at = HEADER_BYTES + 2 * table_bytes
    tables = [b"", b""]
    bodies = b""
    for which in (0, 1):
        for pair in pairs:
            tables[which] += struct.pack("<II", len(pair[which]), at)
            bodies += pair[which] + b"\0"
            at += len(pair[which]) + 1
    header = struct.pack("<7I", MO_MAGIC, 0, len(pairs), HEADER_BYTES, HEADER_BYTES + table_bytes, 0, at)
    return header + tables[0] + tables[1] + bodies


def main() -> int:
    """Compile every catalogue; exit 1 and name the line if one cannot be read."""
    root = Path(__file__).parent.parent / "offline_ledger" / "texts" / "locale"
    for source in sorted(root.glob("*/LC_MESSAGES/*.po")):
        try:
            compiled = compile_mo(parse_po(source.read_text(encoding="utf-8")))
        except ValueError as mistake:
            sys.stderr.write(f"{source.relative_to(root.parent)}: {mistake}\n")
            return 1
        source.with_suffix(".mo").write_bytes(compiled)
    return 0


if __name__ == "__main__":
    sys.exit(main())
