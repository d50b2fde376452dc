"""`diagnose` and `do`: a technician's words to the running program, and its answers in words. DESIGN §6.

They open no journal and no device: the program that runs holds both. Exit codes: 0 well or done, 1 something is wrong,
was refused, or nobody knows; 75 nobody runs, or none of it was done and the same may work later.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from offline_ledger.errors import CommandTakenBack, CommandTooLong, CommandUnsettled, NotRunning
from offline_ledger.terminal.control import MISUNDERSTOOD, QUESTION_BYTES_MAX, WORDS_MAX, Said, ask
from offline_ledger.terminal.diagnosis_words import figures
from offline_ledger.texts import Texts

WELL, ILL = "✓", "✗"
"""Two shapes, not two colours."""


def diagnose(socket: Path, texts: Texts, *, as_json: bool) -> int:
    """Prints every part. Returns the exit code. Raises what `asked` raises."""
    parts = asked(socket, ["diagnose"])
    if as_json:
        sys.stdout.writelines(json.dumps(part, ensure_ascii=False) + "\n" for part in parts)
    else:
        sys.stdout.write("\n".join(line for part in parts for line in lines_of(part, texts)) + "\n")
    return 0 if parts and all(part.get("is_well") is True for part in parts) else 1


def tell(socket: Path, words: list[str]) -> int:
    """Has the running program obey one command; prints what it says to it. Returns the exit code. Raises what
    `asked` raises."""
    said = asked(socket, words)
    sys.stdout.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in said)
    return 1 if any("command_refused" in one for one in said) else 0


def told_refusal(said: Said, texts: Texts) -> str:
    """A refusal that the running program answered with, as every refusal is told on standard error."""
    title, remedy = (said.get(f"{what}_{texts.language}") for what in ("title", "remedy"))
    detail = f"  ({said['detail']})\n" if said.get("detail") else ""
    return f"{said.get('refusal')} {title}\n  {remedy}\n{detail}"


def lines_of(part: Said, texts: Texts) -> list[str]:
    """One part as a technician reads it: shape, name, figures; below it what is wrong, and the remedy."""
    name = str(part.get("part"))
    facts = cast(dict[str, object], part.get("facts") or {})
    is_well = part.get("is_well") is True
    told = figures(facts, texts, is_well=is_well)
    lines = [f"{WELL if is_well else ILL} {texts.get(f'diagnose.{_kind(name)}', part=name)}"]
    if told:
        lines.append(f"    {told}")
    for trouble in cast(list[dict[str, object]], part.get("troubles") or []):
        title, remedy = (trouble.get(f"{what}_{texts.language}") for what in ("title", "remedy"))
        lines += [f"    {trouble.get('refusal')} {title}", f"      {remedy}"]
        if trouble.get("detail"):
            lines.append(f"      ({trouble['detail']})")
    return lines


KINDS = (
    "program", "journal", "link", "clock", "city_data", "deny_list", "readers", "reader_0", "reader_1", "head", "card",
    "gps", "screen", "trip", "routes", "crew", "settings", "key", "certificate", "ca_file", "control", "page", "shift",
    "shop_file", "sales", "audit_log", "printer", "drawer", "wedge", "update",
)  # fmt: skip
"""Parts that have a name of their own in both languages."""


def _kind(name: str) -> str:
    return name if name in KINDS else "other"


def asked(socket: Path, words: list[str]) -> Sequence[Said]:
    """What the running program answers. Raises NotRunning; CommandTooLong; CommandTakenBack when it had no turn for it
    in time, and CommandUnsettled when nobody knows what became of it."""
    try:
        said = ask(socket, words)
    except OSError as error:
        raise NotRunning(f"{socket}: {error}") from error
    except ValueError as error:
        raise CommandUnsettled(f"{socket}: {error}") from error
    if list(said) == [MISUNDERSTOOD]:
        raise CommandTooLong(f"at most {WORDS_MAX} words, none of them empty, and {QUESTION_BYTES_MAX} bytes")
    for refusal in (CommandTakenBack, CommandUnsettled):
        if len(said) == 1 and said[0].get("command_refused") == refusal.key:
            raise refusal()
    return said
