"""The self-test's report: as lines for a person, as JSON for the bench, signed by the device's key. DESIGN §4, §6.

What is signed is the SHA-256 of the report's canonical JSON, with device, time and verdict (`device.SELF_TEST`). A
device that is not enrolled has no certificate to show: its report carries the hash alone, and says so.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple, cast

from offline_ledger.errors import Refusal, ReportOfAnother, ReportUnfit
from offline_ledger.protocol import cose
from offline_ledger.protocol.device import DEVICE_CERTIFICATE, SELF_TEST, DeviceCertificate, SelfTest
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.terminal.diagnosis_words import figures
from offline_ledger.terminal.selftest.plan import Result, Verdict, Whole, verdict_of
from offline_ledger.texts import Texts

FORMAT = 1
REPORT_BYTES_MAX = 262_144
AT_S_MAX = 253_402_214_399
"""The last second but one day of the year 9999: no calendar goes on."""
REFUSAL_MAX = 9_999
SIGN = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.SKIPPED: "–", Verdict.NOT_DONE: "?"}
"""Four shapes, not four colours."""
NUMBER_OF = {Whole.PASSED: 1, Whole.FAILED: 2, Whole.INCOMPLETE: 3}
"""As the signed object says it; numbers are never reused."""
Said = Mapping[str, object]


class Head(NamedTuple):
    """What stands above the steps. `only`: the parts that were asked for, nothing for all; `versions` and `hashes` by
    name."""

    device: str
    city: str
    program: str
    who: str
    at_s: int
    only: tuple[str, ...]
    is_alone: bool
    versions: Mapping[str, str]
    hashes: Mapping[str, str]


def report_of(head: Head, results: Sequence[Result]) -> dict[str, object]:
    """All that was found, as JSON has it."""
    both = {language: Texts(language) for language in ("th", "en")}
    return {
        "format": FORMAT,
        **{key: _plain(value) for key, value in head._asdict().items()},
        "verdict": verdict_of(results).value,
        "is_whole": not head.only and not head.is_alone,
        "steps": [_step(result, both) for result in results],
    }


def _step(result: Result, both: Mapping[str, Texts]) -> dict[str, object]:
    said: dict[str, object] = {
        "step": result.step.id,
        "verdict": result.verdict.value,
        "why": result.why.value,
        "took_ms": result.took_ms,
        "facts": {key: _plain(value) for key, value in result.facts.items()},
    }
    if result.refusal is not None:
        refusal = result.refusal
        said |= {"refusal": refusal.number, "key": refusal.key, "detail": refusal.detail}
        said |= {f"title_{language}": texts.title(refusal) for language, texts in both.items()}
        said |= {f"remedy_{language}": texts.remedy(refusal) for language, texts in both.items()}
    return said


def _plain(value: object) -> object:
    """No floats: another program writes them otherwise, and the hash would be another."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in cast(Mapping[object, object], value).items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in cast(Sequence[object], value)]
    if isinstance(value, float):
        return str(value)
    return value if isinstance(value, str | int | None) else str(value)


def canonical(report: Said) -> bytes:
    """The bytes that are hashed: sorted keys, no spaces, UTF-8."""
    return json.dumps(report, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def signed_report(report: Said, sign: Callable[[Kind, bytes], bytes] | None, certificate: bytes) -> dict[str, object]:
    """The file: report, its SHA-256, and the device's word for it. `sign` None: there is no key that anybody knows."""
    digest = sha256(canonical(report)).digest()
    made: dict[str, object] = {"report": report, "sha256": digest.hex(), "signature": "", "certificate": ""}
    if sign is not None:
        number = NUMBER_OF[Whole(str(report["verdict"]))]
        said = SelfTest(str(report["device"]), cast(int, report["at_s"]), digest, number)
        made |= {"signature": sign(Kind.SELF_TEST, SELF_TEST.encode(said)).hex(), "certificate": certificate.hex()}
    return made


class Proved(NamedTuple):
    """A report whose signature fits. Whether a city knows the certificate is for who has its trust list."""

    report: Mapping[str, object]
    certificate: DeviceCertificate
    certificate_raw: bytes
    sha256: bytes

    @property
    def key_id(self) -> bytes:
        """Of the device's key."""
        return cose.key_id_of(self.certificate.point)

    def failures(self) -> list[tuple[str, int]]:
        """Step and number of each that failed."""
        steps = cast(list[dict[str, object]], self.report["steps"])
        return [(str(one["step"]), cast(int, one["refusal"])) for one in steps if one["verdict"] == Verdict.FAILED]


def check_report(raw: bytes) -> Proved:
    """A file of `self-test --json`, as its device signed it. Raises ReportUnfit, ReportOfAnother."""
    if len(raw) > REPORT_BYTES_MAX:
        raise ReportUnfit(f"over {REPORT_BYTES_MAX} bytes")
    try:
        file = _dict(json.loads(raw))
        report = _dict(file["report"])
        signature, certificate_raw = (bytes.fromhex(_text(file[name])) for name in ("signature", "certificate"))
        city, device = _text(report["city"]), _text(report["device"])
        _check_shape(report)
        digest = sha256(canonical(report)).digest()
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReportUnfit from error
    if not signature:
        raise ReportUnfit("not signed")
    try:
        parsed = cose.parse_sign1(certificate_raw, cose.external_aad(Kind.DEVICE_CERTIFICATE, city))
        certificate = DEVICE_CERTIFICATE.decode(parsed.payload, OBJECT_BYTES_MAX)
        signed = cose.parse_sign1(signature, cose.external_aad(Kind.SELF_TEST, city))
        said = SELF_TEST.decode(signed.payload, OBJECT_BYTES_MAX)
        key = cose.verify_key(certificate.point)
    except Refusal as refusal:
        raise ReportUnfit(str(refusal)) from refusal
    if not cose.is_signature_of(signed, key):
        raise ReportUnfit("the signature does not fit")
    if said.report_sha256 != digest or said.verdict != NUMBER_OF[Whole(str(report["verdict"]))]:
        raise ReportUnfit("changed after it was signed")
    if (said.device, certificate.device, certificate.city) != (device, device, city) or said.at_s != report["at_s"]:
        raise ReportOfAnother(f"{device}, signed by {certificate.device} of {certificate.city}")
    return Proved(report, certificate, certificate_raw, digest)


def _check_shape(report: dict[str, object]) -> None:
    """Raises ValueError, KeyError, TypeError."""
    Whole(str(report["verdict"]))
    steps = report["steps"]
    at_s = report["at_s"]
    if report["format"] != FORMAT or type(at_s) is not int or not isinstance(steps, list):
        raise ValueError("another format")
    if not 0 <= at_s <= AT_S_MAX:
        raise ValueError("no time")
    _text(report["who"])
    if not isinstance(report["is_whole"], bool):
        raise ValueError("neither whole nor not")
    for table in (_dict(report["versions"]), _dict(report["hashes"])):
        for value in table.values():
            _text(value)
    for one in map(_dict, cast(list[object], steps)):
        _text(one["step"])
        if Verdict(_text(one["verdict"])) is Verdict.FAILED:
            number = one["refusal"]
            if type(number) is not int or not 0 < number <= REFUSAL_MAX:
                raise ValueError("a failure without a number")


def _dict(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError("no table")
    return cast(dict[str, object], value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


# --- for a person


def line_of(result: Result, texts: Texts) -> str:
    """One step's verdict: shape, id, what it was; below it what is wrong and what to do."""
    step, refusal = result.step, result.refusal
    told = figures(result.facts, texts, is_well=True)
    why = texts.get(f"selftest.why.{result.why.value}") if result.why.value else ""
    lines = [
        f"{SIGN[result.verdict]} {step.id} · {texts.get(f'selftest.step.{step.id}')}" + (f" · {why}" if why else "")
    ]
    if told and result.verdict is Verdict.PASSED:
        lines.append(f"    {told}")
    if refusal is not None:
        lines += [f"    {refusal.number} {texts.title(refusal)}", f"      {texts.remedy(refusal)}"]
        if detail := texts.detail(refusal):
            lines.append(f"      ({detail})")
    return "\n".join(lines)


def summary_of(results: Sequence[Result], texts: Texts) -> str:
    """The last line: what the device is, and how many of each."""
    counts = {verdict: sum(result.verdict is verdict for result in results) for verdict in Verdict}
    values = {verdict.value: str(count) for verdict, count in counts.items()}
    return texts.get(f"selftest.whole.{verdict_of(results).value}", **values)
