"""The virtual card speaks vpcd's frames, and is torn where it was told to be; foreign cards answer as theirs do."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.protocol.card import Ins, commands_for, select
from offline_ledger.protocol.card_foreign import PPSE
from offline_ledger.protocol.card_info import read_tlv
from simulators.card.foreign import ForeignCard, ForeignSort
from simulators.card.purse import Purse, PurseDamaged, PurseFile
from simulators.card.virtual import Exchange, Tear, VirtualCard, Where
from tests.card.desk import new_card, request_for

DEADLINE_S = 10.0
PAY = request_for(bytes.fromhex("c0ffee0000000001"), bytes(16)).raw


class ReaderInTest:
    """The reader's side of the wire, as vpcd speaks it."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(DEADLINE_S)
        self.port: int = self._server.getsockname()[1]
        self._link: socket.socket | None = None

    def accept(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link, _ = self._server.accept()
        self._link.settimeout(DEADLINE_S)

    def send(self, frame: bytes) -> None:
        assert self._link is not None
        try:
            self._link.sendall(len(frame).to_bytes(2, "big") + frame)
        except OSError:
            return  # it left

    def receive(self) -> bytes:
        """One frame, or what came of it before the card left."""
        assert self._link is not None
        found = b""
        while len(found) < 2 or len(found) < 2 + int.from_bytes(found[:2], "big"):
            try:
                came = self._link.recv(4_096)
            except OSError:
                came = b""
            if not came:
                break
            found += came
        return found

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
        self._server.close()


@pytest.fixture
def reader() -> Iterator[ReaderInTest]:
    made = ReaderInTest()
    yield made
    made.close()


def put_in(reader: ReaderInTest, folder: Path, tear: Tear | None = None) -> VirtualCard:
    applet = new_card(folder)
    card = VirtualCard(applet, applet.file)
    card.insert(reader.port, tear)
    reader.accept()
    return card


def test_power_atr_and_apdus(reader: ReaderInTest, tmp_path: Path) -> None:
    with put_in(reader, tmp_path) as card:
        reader.send(b"\x01")
        reader.send(b"\x04")
        assert reader.receive() == b"\x00\x05\x3b\x80\x80\x01\x01"
        reader.send(select())
        assert reader.receive()[-2:] == b"\x90\x00"
        reader.send(commands_for(Ins.READ_ALLOWANCE)[0])
        assert reader.receive()[2:4] == b"\xd2\x84"
        reader.send(b"\x02")
        reader.send(commands_for(Ins.READ_ALLOWANCE)[0])
        assert reader.receive() == b"\x00\x02\x6d\x00", "reset: nothing is selected"
        assert card.is_in and len(card.exchanges) == 3
        card.remove()
        assert reader.receive() == b"" and not card.is_in and not card.torn.is_set()
        card.remove()


@pytest.mark.parametrize(
    ("tear", "received", "n"),
    [
        (Tear(1, Where.IN_COMMAND, 0), b"", 0),
        (Tear(1, Where.IN_COMMAND, len(PAY)), b"", 0),
        (Tear(1, Where.BEFORE_WRITE), b"", 0),
        (Tear(1, Where.ASIDE_WRITTEN), b"", 0),
        (Tear(1, Where.AFTER_WRITE), b"", 1),
        (Tear(1, Where.IN_ANSWER, 0), b"", 1),
        (Tear(1, Where.IN_ANSWER, 2), b"\xd2\x84", 1),
    ],
)
def test_a_card_is_torn_where_it_was_told(
    reader: ReaderInTest, tmp_path: Path, tear: Tear, received: bytes, n: int
) -> None:
    with put_in(reader, tmp_path, tear) as card:
        reader.send(select())
        assert reader.receive()[-2:] == b"\x90\x00"
        reader.send(commands_for(Ins.PAY, PAY)[0])
        assert reader.receive()[2:] == received
        assert card.torn.wait(DEADLINE_S)
        assert PurseFile(tmp_path / "card-1.json").load().n == n


def test_a_whole_answer_and_then_torn(reader: ReaderInTest, tmp_path: Path) -> None:
    with put_in(reader, tmp_path, Tear(0, Where.IN_ANSWER, 32)) as card:
        reader.send(select())
        assert len(reader.receive()) == 34
        assert card.torn.wait(DEADLINE_S)
        assert card.exchanges == [Exchange(16, 32, False)]


def test_slow_and_silent(reader: ReaderInTest, tmp_path: Path) -> None:
    with put_in(reader, tmp_path) as card:
        card.silent_from = 1
        reader.send(select())
        assert reader.receive()[-2:] == b"\x90\x00"
        reader.send(commands_for(Ins.READ_ALLOWANCE)[0])
        heard: list[bytes] = []
        listening = threading.Thread(target=lambda: heard.append(reader.receive()))
        listening.start()
        listening.join(0.2)
        assert not heard and card.is_in
        card.remove()
        listening.join(DEADLINE_S)
        assert heard == [b""]


def test_a_frame_that_is_none_ends_the_card(reader: ReaderInTest, tmp_path: Path) -> None:
    with put_in(reader, tmp_path):
        reader.send(bytes(5_000))
        assert reader.receive() == b""


@pytest.mark.parametrize("sort", list(ForeignSort))
def test_cards_of_others_have_no_wallet_of_ours(sort: ForeignSort) -> None:
    card = ForeignCard(sort)
    assert card.answer(select())[-2:] == b"\x6a\x82"
    assert card.answer(commands_for(Ins.READ_ALLOWANCE)[0]) == b"\x6d\x00"
    assert card.atr[0] == 0x3B


def test_a_bank_card_has_a_directory_that_can_be_read() -> None:
    answer = ForeignCard(ForeignSort.BANK).answer(select(PPSE))
    assert answer[-2:] == b"\x90\x00"
    ((tag, template),) = read_tlv(answer[:-2])
    assert tag == 0x6F and dict(read_tlv(template))[0x84] == PPSE


@pytest.mark.parametrize("sort", [ForeignSort.STORAGE, ForeignSort.FELICA])
def test_the_readers_own_atr_checks_itself(sort: ForeignSort) -> None:
    """PC/SC part 3: the last byte of such an ATR is the exclusive or of all after the first."""
    total = 0
    for byte in ForeignCard(sort).atr[1:]:
        total ^= byte
    assert total == 0


def test_a_purse_is_kept_to_the_byte(tmp_path: Path) -> None:
    file = PurseFile(tmp_path / "card.json")
    assert file.load() == Purse()
    full = Purse(7, "TH-40", (b"\x02" * 33, b"\x03" * 33), b"a", 3, 12_500, 5_000, bytes(32), b"p", b"c")
    file.keep(full)
    assert PurseFile(tmp_path / "card.json").load() == full
    for wrong in ("", "{}", "[]", (tmp_path / "card.json").read_text().replace("12500", "12501")):
        (tmp_path / "card.json").write_text(wrong)
        with pytest.raises(PurseDamaged):
            file.load()


def test_a_card_in_a_process_of_its_own(reader: ReaderInTest, tmp_path: Path) -> None:
    new_card(tmp_path)
    command = [sys.executable, "-m", "simulators.card", "--purse", str(tmp_path / "card-1.json"), "--seed", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as held:
        assert held.stdin is not None and held.stdout is not None

        def say(line: str) -> str:
            assert held.stdin is not None and held.stdout is not None
            held.stdin.write(line + "\n")
            held.stdin.flush()
            return held.stdout.readline().strip()

        assert held.stdout.readline() == "ready\n"
        assert say("state") == "ok out 0"
        assert say(f"insert {reader.port} in_answer 0 4") == "ok"
        reader.accept()
        reader.send(select())
        assert len(reader.receive()) == 6, "torn in its first answer"
        assert say("foreign bank") == say("slow 0.01") == say(f"insert {reader.port}") == "ok"
        reader.accept()
        reader.send(select())
        assert reader.receive() == b"\x00\x02\x6a\x82"
        assert say("ours") == say("silent 1") == say("remove") == "ok"
        for wrong in ("insert", "insert x", "insert 1 nowhere 1 1", "foreign nobody", "dance"):
            assert say(wrong).startswith("error"), wrong
        held.stdin.write("quit\n")
        held.stdin.close()
        assert held.wait(DEADLINE_S) == 0
