"""Power cuts at every step of provisioning, at the device and at the bench: not provisioned, and the same command
completes it with the same key; or provisioned. The record never says more than is so. DESIGN §4, §6.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from firmware.flash.record import DONE, Record
from firmware.flash.record_reading import INTERRUPTED, Job, jobs
from simulators.demo.city import CITY
from tests.flash.provisioned_desk import DEVICE, NEEDED, OWNER, DeviceFolder, answer_of, run
from tests.processes.quick_city import QuickCity

STEPS_MIN = {"--request": 8, "--answer": 13, "bench": 10, "--out": 9}
KILLED = -9


@pytest.fixture
def city(tmp_path: Path) -> QuickCity:
    made = QuickCity(tmp_path / "city")
    made.init()
    return made


def some(rng: Random, steps: int, count: int) -> list[int]:
    """The slice: the last one, and others by chance; in the soak all."""
    every = list(range(1, steps + 1))
    return every if count >= steps else sorted({steps, *rng.sample(every, max(1, count - 1))})


def count_steps(words: tuple[str, ...], ended: str) -> int:
    steps = int(ended.splitlines()[-1])
    assert steps >= STEPS_MIN[words[1] if words[1] in STEPS_MIN else "bench"], (words, steps)
    return steps


@pytest.mark.timeout(600)
def test_the_device_is_not_provisioned_or_provisioned(
    tmp_path: Path, city: QuickCity, rng: Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    whole = DeviceFolder(tmp_path / "whole", city)
    request, answer = whole.folder / "request", whole.folder / "answer"
    asking, taking = ("enrol", "--request", str(request)), ("enrol", "--answer", str(answer))
    asked = whole.run(*asking, cut_at=0)
    assert asked.returncode == 0, asked
    before = tmp_path / "before"
    shutil.copytree(whole.folder, before)
    answer_of(city, request, answer)
    taken = whole.run(*taking, cut_at=0)
    assert taken.returncode == 0 and whole.first_kinds() >= NEEDED, taken
    rounds = slice_of(1_000, 2)
    asks, takes, cuts = count_steps(asking, asked.stderr), count_steps(taking, taken.stderr), 0
    for at in some(rng, asks, rounds):
        cuts += 1
        device = DeviceFolder(tmp_path / f"asks-{at}", city, f"bus-asks-{at}")
        again = ("enrol", "--request", str(device.folder / "request"))
        assert device.run(*again, cut_at=at).returncode == KILLED, at
        assert device.provisioned() is None
        key, was_there = device.key(), (device.folder / "request").exists()
        assert device.run(*again).returncode == 0, at
        assert key in (b"", device.key()) and (key or not was_there), "a request is of the key that is there"
        request_of = device.folder / "request"
        answer_of(city, request_of, device.folder / "answer", device.device)
        assert device.run("enrol", "--answer", str(device.folder / "answer")).returncode == 0
        assert device.provisioned() is not None and device.first_kinds() >= NEEDED
    folder = whole.folder
    for at in some(rng, takes, rounds + 1):
        cuts += 1
        shutil.rmtree(folder)
        shutil.copytree(before, folder)
        answer.write_bytes(answer_bytes(city, request, tmp_path / f"answer-{at}"))
        assert whole.run(*taking, cut_at=at).returncode == KILLED, at
        key, half = whole.key(), whole.provisioned()
        if half is not None:
            assert half.certificate.device == DEVICE
            whole.first_kinds(is_ready=False)  # a start finds all that it needs, or is told that bulletins are to come
        ended = whole.run(*taking)
        assert ended.returncode == 0 and ended.stdout.startswith(f"{DEVICE} {OWNER} "), (at, ended)
        assert whole.key() == key and whole.first_kinds() >= NEEDED, at
    report(f"provisioning, cut at the device: {cuts} of {asks + takes} steps")


def answer_bytes(city: QuickCity, request: Path, out: Path) -> bytes:
    return answer_of(city, request, out).read_bytes()


@pytest.mark.timeout(600)
def test_the_bench_says_how_far_it_came(
    tmp_path: Path, city: QuickCity, rng: Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    def provision(name: str, cut_at: int | None) -> tuple[DeviceFolder, tuple[str, ...], str, int]:
        device, bench = DeviceFolder(tmp_path / name, city, name), tmp_path / f"{name}-bench"
        bench.mkdir()
        settings, request = bench / "bench.toml", device.folder / "request"
        settings.write_text(f'[city]\nid = "{CITY}"\n')
        assert device.run("enrol", "--request", str(request)).returncode == 0
        answer = answer_of(city, request, device.folder / "answer", name)
        words = ("firmware.flash", "provision", name, "--role", "validator", "--via", device.via)
        words = (*words, "--answer", str(answer), "--settings", str(settings), "--language", "en")
        cut = () if cut_at is None else ("tests.flash.provision_cut", str(cut_at), str(bench))
        ended = run(*cut, *words)
        return device, words, ended.stderr, ended.returncode

    _device, words, said, code = provision("counted", 0)
    assert code == 0, said
    steps = count_steps(words, said)
    cuts = some(rng, steps, slice_of(1_000, 2))
    for at in cuts:
        device, words, said, code = provision(f"cut-{at}", at)
        assert code == KILLED, (at, said)
        said_by_record = (outcomes(device) or [INTERRUPTED])[-1]
        assert device.provisioned() is not None or said_by_record != DONE, "the record never says more than is so"
        is_at_answer = steps_of(device)[-1:] == ["answer"]
        assert device.provisioned() is None or is_at_answer, "and it says which: the device got it at this step"
        assert said_by_record in (DONE, INTERRUPTED) and (said_by_record != DONE or is_at_answer)
        ended = run(*words)
        assert ended.returncode == 0, (at, ended)
        assert outcomes(device)[-1] == DONE and device.provisioned() is not None
        assert set(outcomes(device)) <= {DONE, INTERRUPTED}, at
    report(f"provisioning, cut at the bench: {len(cuts)} of {steps} steps")


@pytest.mark.timeout(600)
def test_what_the_bench_hands_over_is_whole_or_not_there(
    tmp_path: Path, city: QuickCity, rng: Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    device = DeviceFolder(tmp_path / "device", city)
    request = device.folder / "request"
    assert device.run("enrol", "--request", str(request)).returncode == 0

    def words(bench: Path) -> tuple[str, ...]:
        bench.mkdir()
        (bench / "bench.toml").write_text(f'[city]\nid = "{CITY}"\n')
        named = ("--request", str(request), "--out", str(bench / "out"), "--settings", str(bench / "bench.toml"))
        return ("firmware.flash", "provision", DEVICE, "--role", "validator", *named)

    counted = run("tests.flash.provision_cut", "0", str(tmp_path / "all"), *words(tmp_path / "all"))
    assert counted.returncode == 0, counted
    steps = count_steps(("bench", "--out"), counted.stderr)
    cuts = some(rng, steps, slice_of(1_000, 1))
    for at in cuts:
        bench = tmp_path / f"cut-{at}"
        line = words(bench)
        assert run("tests.flash.provision_cut", str(at), str(bench), *line).returncode == KILLED, at
        out = bench / "out"
        assert not out.exists() or out.read_bytes() == request.read_bytes(), at
        assert run(*line).returncode == 0 and out.read_bytes() == request.read_bytes(), at
        assert {job.outcome for job in jobs_in(bench)} == {INTERRUPTED}, "nobody has seen the device take it"
        assert jobs_in(bench)[-1].steps[-1].name == "operator"
    report(f"provisioning, cut while the bench hands over: {len(cuts)} of {steps} steps")


def outcomes(device: DeviceFolder) -> list[str]:
    return [job.outcome for job in jobs_in(bench_of(device))]


def steps_of(device: DeviceFolder) -> list[str]:
    """Of the newest job."""
    found = jobs_in(bench_of(device))
    return [step.name for step in found[-1].steps] if found else []


def bench_of(device: DeviceFolder) -> Path:
    return device.folder.with_name(f"{device.folder.name}-bench")


def jobs_in(bench: Path) -> list[Job]:
    if not (bench / "bench.db").exists():
        return []
    record = Record.open(bench / "bench.db")
    try:
        return list(jobs(record))
    finally:
        record.close()
