"""The waybill for people and for other programs: lines of text in one language, CSV, JSON. Pure. DESIGN §1, §5."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from io import StringIO

from bus_validator.waybill import NO_CONCESSION, UNKNOWN_CONCESSION, Sums, Waybill
from offline_ledger.money import format_minor
from offline_ledger.protocol.wallet import Concession
from offline_ledger.rules.civil import BANGKOK_AHEAD_S
from offline_ledger.rules.limits import DAY_S, HOUR_S, MINUTE_S

Say = Callable[..., str]
"""`Texts.get`: a key and the values of its places."""
NAMELESS = (UNKNOWN_CONCESSION, NO_CONCESSION)
"""Empty for other programs: no number of a fare class."""
CSV_HEADING = (
    *("trip", "route", "direction", "driver", "product", "concession", "boardings", "kgo", "thb_declared"),
    *("annulled", "kgo_annulled", "thb_annulled", "thb_due", "refusals", "repeats", "uncharged_greens"),
    *("started_at_s", "ended_at_s", "missing"),
)


def clock_text(at_s: int | None) -> str:
    """Time of day in Bangkok, `14:05`; `--:--` for none."""
    if at_s is None:
        return "--:--"
    second = (at_s + BANGKOK_AHEAD_S) % DAY_S
    return f"{second // HOUR_S:02d}:{second % HOUR_S // MINUTE_S:02d}"


def concession_text(say: Say, concession: int) -> str:
    """The fare class in words; a number that this version does not know stands for itself."""
    if concession == UNKNOWN_CONCESSION:
        return say("bus.waybill.concession.none")
    if concession == NO_CONCESSION:
        return say("bus.waybill.concession.coupon")
    try:
        return say(f"bus.waybill.concession.{Concession(concession).name.lower()}")
    except ValueError:
        return str(concession)


def report_lines(waybill: Waybill, say: Say) -> tuple[str, ...]:
    """For a screen or a printer, the coins first: that is what the driver hands over."""
    run, sums = waybill.run, waybill.sums
    lines = [
        say("bus.waybill.coins", thb=format_minor(sums.coins_due_satang)),
        say("bus.waybill.boardings", count=sums.net_boardings, kgo=format_minor(sums.net_kgo)),
        say("bus.waybill.times", first=clock_text(waybill.first_at_s), last=clock_text(waybill.last_at_s)),
        say("bus.waybill.trip", route=run.route, trip=run.trip),
    ]
    if sums.annulled:
        lines.append(say("bus.waybill.annulled", count=sums.annulled, thb=format_minor(sums.annulled_satang)))
    for line in waybill.lines:
        words = {"product": line.product, "concession": concession_text(say, line.concession)}
        lines.append(say("bus.waybill.line", count=line.boardings, kgo=format_minor(line.kgo), **words))
    if len(waybill.parts) > 1:
        for part in waybill.parts:
            coins = format_minor(part.sums.coins_due_satang)
            lines.append(say("bus.waybill.part", driver=part.driver or "-", count=part.sums.net_boardings, thb=coins))
    told = (
        ("refusals", waybill.refusals),
        ("repeats", waybill.repeats),
        ("uncharged_greens", waybill.uncharged_greens),
        ("not_charged", waybill.not_charged),
        ("open", waybill.open),
        ("unsent", waybill.unsent),
        ("missing", waybill.missing),
    )
    lines += [say(f"bus.waybill.{name}", count=count) for name, count in told if count]
    return tuple(lines)


def _amounts(sums: Sums) -> dict[str, object]:
    return {
        "boardings": sums.net_boardings,
        "kgo": format_minor(sums.net_kgo),
        "thb_declared": format_minor(sums.satang),
        "annulled": sums.annulled,
        "kgo_annulled": format_minor(sums.annulled_kgo),
        "thb_annulled": format_minor(sums.annulled_satang),
        "thb_due": format_minor(sums.coins_due_satang),
    }


def as_text(waybills: Sequence[Waybill], say: Say) -> str:
    """For people, each run's lines with an empty one between."""
    return "\n".join("".join(f"{line}\n" for line in report_lines(one, say)) for one in waybills)


def as_json(waybills: Sequence[Waybill]) -> str:
    """For other programs, a list: amounts as text with two decimals, times in Unix seconds."""
    return json.dumps([_plain(one) for one in waybills], ensure_ascii=False, indent=1)


def _plain(waybill: Waybill) -> dict[str, object]:
    run = waybill.run
    lines = [
        {
            "product": line.product,
            "concession": None if line.concession in NAMELESS else line.concession,
            "boardings": line.boardings,
            "kgo": format_minor(line.kgo),
            "thb_declared": format_minor(line.satang),
        }
        for line in waybill.lines
    ]
    parts = [
        {
            "driver": part.driver,
            **_amounts(part.sums),
            "refusals": part.refusals,
            "repeats": part.repeats,
            "uncharged_greens": part.uncharged_greens,
        }
        for part in waybill.parts
    ]
    return {
        "trip": run.trip,
        "route": run.route,
        "direction": run.direction,
        "started_at_s": run.started_at_s,
        "ended_at_s": waybill.ended_at_s,
        "first_boarding_at_s": waybill.first_at_s,
        "last_boarding_at_s": waybill.last_at_s,
        **_amounts(waybill.sums),
        "refusals": waybill.refusals,
        "repeats": waybill.repeats,
        "uncharged_greens": waybill.uncharged_greens,
        "not_charged": waybill.not_charged,
        "open": waybill.open,
        "unsent": waybill.unsent,
        "missing": waybill.missing,
        "drivers": parts,
        "lines": lines,
    }


def as_csv(waybills: Sequence[Waybill]) -> str:
    """A heading; for each waybill a row per driver, then a row per product and fare class (without a driver)."""
    written = StringIO()
    out = csv.writer(written, lineterminator="\n")
    out.writerow(CSV_HEADING)
    for one in waybills:
        out.writerows(_rows(one))
    return written.getvalue()


def _rows(waybill: Waybill) -> Iterator[tuple[object, ...]]:
    run = waybill.run
    place = (run.trip, run.route, run.direction)
    whole = (run.started_at_s, "" if waybill.ended_at_s is None else waybill.ended_at_s, waybill.missing)
    for part in waybill.parts:
        counts = (part.refusals, part.repeats, part.uncharged_greens)
        yield *place, part.driver, "", "", *_amounts(part.sums).values(), *counts, *whole
    for line in waybill.lines:
        concession = "" if line.concession in NAMELESS else line.concession
        legs = (line.boardings, format_minor(line.kgo), format_minor(line.satang))
        yield *place, "", line.product, concession, *legs, *("",) * 7, *whole
