"""What a played scenario leaves for review: `timeline.json`, `.csv`, `.md`, and everything that was seen. DESIGN §11.

Writes what was recorded; judges nothing.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from simulators.bus_desk.play import Played, Shown
from simulators.bus_desk.watch import Seen

_HEAD = "| | ทำอะไร · what happens | ไฟ · light | ms | เสียง Hz · sound | จอ ms · screen | voucher | refusal |\n"


def write_report(played: Played, seen: Sequence[Seen], began_us: int, out: Path) -> None:
    """All four files."""
    rows = [
        one._asdict() | {"ring": bytes(value for pixel in one.ring for value in pixel).hex()} for one in played.steps
    ]
    said = {
        "name": played.scenario.name,
        "seed": played.seed,
        "seconds": played.seconds,
        "steps": rows,
        "figures": played.figures._asdict(),
        "broken": played.broken,
    }
    (out / "timeline.json").write_text(json.dumps(said, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    with (out / "timeline.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [name for name in Shown._fields if name != "ring"], extrasaction="ignore")
        table.writeheader()
        table.writerows(row | {"wanted": "|".join(one.wanted)} for row, one in zip(rows, played.steps, strict=True))
    (out / "timeline.md").write_text(markdown(played), encoding="utf-8")
    with (out / "events.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("at_ms", "step", "what", "value"))
        starts = [one.at_ms for one in played.steps]
        for one in seen:
            at_ms = (one.at_us - began_us) / 1000
            value = json.dumps(one.value, ensure_ascii=False) if isinstance(one.value, dict) else one.value
            writer.writerow((f"{at_ms:.3f}", sum(start <= at_ms for start in starts), one.what, value))


def markdown(played: Played) -> str:
    """The steps and the figures as tables."""
    figures = played.figures
    lines = [_HEAD, "|---|---|---|---|---|---|---|---|\n"]
    lines += [_row(one) for one in played.steps]
    people = sum(people for people, _coins in figures.trips.values())
    lines.append(f"\nSeed {played.seed}, {played.seconds} s. From journal and ledger: {figures.vouchers} vouchers ")
    lines.append(f"({figures.boardings} boardings, {figures.coupons} coupons, {figures.annulled} annulled), {people} ")
    lines.append(f"passengers net, {_whole(figures.coins_satang)} baht in coins, {_whole(figures.kgo)} KGO taken, ")
    lines.append(f"{_whole(figures.credited_kgo)} KGO credited to the operator, {figures.refusals} refusals, ")
    lines.append(
        f"{figures.conflicts} contradictions, {figures.uncharged_greens} greens given again without a charge, "
    )
    lines.append(f"{figures.acked} acknowledged; lost or doubled: {len(figures.faults)}.\n")
    return "".join(lines)


def _row(one: Shown) -> str:
    sound = " ".join(str(hertz) for hertz, _ms in one.sound)
    cells = (
        f"{one.number}",
        f"{one.thai} · {one.name}" if one.thai else one.name,
        one.light if one.wrong is None else f"**{one.wrong}**",
        _ms(one.light_ms),
        sound,
        _ms(one.screen_ms),
        "" if one.voucher is None else str(one.voucher),
        str(one.refusal or ""),
    )
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _whole(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"
