"""The page's service over real sockets: what it serves, whom it answers, what it passes on, its end. Decision 0191."""

import hashlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest

from offline_ledger.errors import PagePortTaken, StaleScreen
from pos_app.page.actions import FIELDS
from pos_app.page.connections import REQUEST_S_MAX
from pos_app.page.guard import PRESSES_MAX
from pos_app.page.news import LISTENERS_MAX
from pos_app.page.render import Renderer
from pos_app.page.server import BODY_BYTES_MAX, CONNECTIONS_MAX, HOST, REFUSED_MAX, STATIC, PageServer
from tests.pos_app.page import views
from tests.pos_app.page.desks import MemoryDesk
from tests.pos_app.page.served import Served, told

END_S_MAX = 2.5


@pytest.fixture
def served() -> Iterator[Served]:
    one = Served()
    yield one
    one.close()


def test_everything_comes_from_here_and_nothing_is_kept(served: Served) -> None:
    paths = [f"/static/{file.relative_to(STATIC).as_posix()}" for file in STATIC.rglob("*.*")]
    texts = [path for path in paths if path.endswith((".txt", "SOURCES"))]
    assert len(paths) - len(texts) >= 10
    for path in ("/", "/screen", "/customer", "/customer/screen", *sorted(set(paths) - set(texts))):
        status, headers, body = served.ask("GET", path)
        assert status == 200 and body, path
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy, path
        assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff", path
        assert "server" not in headers
        if not path.endswith((".woff2", ".svg")):
            elsewhere = re.findall(r"https?://[^\s\"'`)]+", body)
            assert [one for one in elsewhere if "w3.org" not in one and "htmx.org" not in one] == [], path
    for screen in ("/", "/customer"):
        body = served.ask("GET", screen)[2]
        assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", body), "nothing inline"
    for path in ("/nothing", "/static/../server.py", "/static/vendor/SOURCES", "/act/pay"):
        status, _headers, body = served.ask("GET", path)
        assert status == 404 and "5024" in body and "Traceback" not in body, path


def test_what_is_vendored_is_what_its_makers_published() -> None:
    lines = (STATIC / "vendor" / "SOURCES").read_text().splitlines()
    listed = {line.split("  ")[1]: line.split("  ")[0] for line in lines if not line.startswith("#")}
    files = {file.name for file in (STATIC / "vendor").iterdir()} - {"SOURCES"}
    assert set(listed) == files
    for name, digest in listed.items():
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == digest, name


def test_no_other_page_can_press_anything(served: Served) -> None:
    """Another site, another port of this machine, a name bent to this machine, a window of an earlier start."""
    body = b"typed=45"
    good = served.proof()
    wrong = [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{served.port + 1}"},
        {"Origin": f"http://localhost:{served.port}"},
        {"Host": f"elsewhere.example:{served.port}", "Origin": f"http://elsewhere.example:{served.port}"},
        {"Host": "127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"X-Till-Token": ""},
        {"X-Till-Token": "x" * 22},
        {"Cookie": ""},
        {"Cookie": f"till-{served.port}={'x' * 22}"},
    ]
    for change in wrong:
        status, _headers, said = served.ask("POST", "/act/add_amount", body, {**good, **change})
        assert status == 403 and "5024" in said, change
    for lacking in ("Origin", "X-Till-Token", "Cookie"):
        headers = {name: value for name, value in good.items() if name != lacking}
        assert served.ask("POST", "/act/add_amount", body, headers)[0] == 403, lacking
    assert served.ask("POST", "/scanned", b"text=x", {**good, "X-Till-Token": ""})[0] == 403
    assert served.ask("GET", "/screen", headers={"Host": "elsewhere.example"})[0] == 403
    assert served.ask("GET", "/screen", headers={"Sec-Fetch-Site": "cross-site"})[0] == 403, "not even to look"
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert served.ask("GET", "/", headers=link)[0] == 200, "a link to it may be followed"
    assert served.ask("GET", "/", headers={**link, "Sec-Fetch-Dest": "iframe"})[0] == 403
    assert served.desk.acts == [] and served.desk.scans == []
    assert served.ask("POST", "/act/add_amount", body, good)[0] == 200
    assert len(served.desk.acts) == 1


def test_looking_changes_nothing(served: Served) -> None:
    before = served.desk.revision
    for action in FIELDS:
        assert served.ask("GET", f"/act/{action}")[0] == 404
    assert served.ask("GET", "/scanned?text=1")[0] == 404
    assert served.ask("GET", "/search?q=ice")[0] == 200
    assert served.desk.revision == before and served.desk.acts == [] and served.desk.scans == []


def test_a_press_reaches_the_desk_with_its_own_fields_alone(served: Served) -> None:
    fields = {"typed": "3×45.50", "line": "7", "evil": "1", "name": "ถั่ว 🥜"}
    status, headers, said = served.press("add_amount", fields)
    assert status == 200 and headers["x-till-said"] == "done" and "฿136.50" in said
    assert served.desk.acts == [("add_amount", {"amount": "45.50", "quantity": "3", "name": "ถั่ว 🥜"})]
    assert headers["x-till-revision"] == str(served.desk.revision)


@pytest.mark.parametrize(
    ("action", "fields", "number"),
    [
        ("fly", {}, 5027),
        ("add_amount", {"typed": "1" * 81}, 5027),
        ("add_amount", {"typed": ""}, 1714),
        ("add_amount", {"typed": "45", "name": "ก" * 3_000}, 5025),
    ],
)
def test_what_is_unfit_is_told_with_number_and_remedy_beside_the_same_screen(
    served: Served, action: str, fields: dict[str, str], number: int
) -> None:
    status, headers, said = served.press(action, fields)
    assert status == 200 and headers["x-till-said"] == "refused"
    assert "screens" not in said and f"<small>{number}</small>" in said
    assert 'data-screen="sale"' in said
    assert "notice" in served.ask("GET", "/screen")[2], "it stays while nothing else happens"
    served.desk.show({**served.desk.view(), "light": views.light("accepted")})
    assert 'class="cell notice"' not in served.ask("GET", "/screen")[2], "a light is newer than it"


def test_a_body_without_form_length_or_revision_is_refused(served: Served) -> None:
    for change in (
        {"Content-Type": "application/json"},
        {"X-Till-Seen": ""},
        {"X-Till-Seen": "-1"},
        {"X-Till-Seen": "9" * 19},
    ):
        assert "5027" in served.ask("POST", "/act/pay", b"{}", served.proof(change))[2], change
    too_many = urlencode({f"q-{number}": "1" for number in range(300)}).encode()
    assert "5027" in served.ask("POST", "/act/refund", too_many, served.proof())[2]
    assert "5027" in served.ask("POST", "/act/pay", b"typed=%ff%fe", served.proof())[2]
    assert "5025" in served.ask("POST", "/scanned", b"text=" + b"x" * BODY_BYTES_MAX, served.proof())[2]
    assert served.desk.acts == []


def test_a_scan_is_passed_on_as_it_is_up_to_its_length(served: Served) -> None:
    code = "KGO1:" + "A $%*+-./:" * 69 + "12345"
    assert len(code) == 700
    body = urlencode({"text": code}).encode()
    assert served.ask("POST", "/scanned", body, served.proof())[0] == 200
    assert served.desk.scans == [code]
    for text, number in (("x" * 701, "1001"), ("", "5027")):
        said = served.ask("POST", "/scanned", urlencode({"text": text}).encode(), served.proof())[2]
        assert f"<small>{number}</small>" in said
    assert served.desk.scans == [code]


def test_more_presses_than_fingers_make_wait(served: Served) -> None:
    answers = [served.press("category", {"id": "drinks"}) for _ in range(PRESSES_MAX + 20)]
    said = [headers["x-till-said"] for _status, headers, _html in answers]
    assert said[:PRESSES_MAX] == ["done"] * PRESSES_MAX and "refused" in said
    assert "<small>5026</small>" in answers[said.index("refused")][2]


def test_a_press_on_an_old_screen_changes_nothing(served: Served) -> None:
    seen = str(served.desk.revision)
    assert served.press("add_amount", {"typed": "45"})[0] == 200
    for _ in range(2):
        assert served.press("add_amount", {"typed": "45"}, {"X-Till-Seen": seen})[1]["x-till-said"] == "refused"
    assert len(served.desk.acts) == 1


def test_a_window_hears_of_its_own_refusals_alone(served: Served) -> None:
    one, two = {"X-Till-Window": "one"}, {"X-Till-Window": "two"}

    def told_to(window: dict[str, str]) -> list[str]:
        html = served.ask("GET", "/screen", headers=window)[2]
        return re.findall(r'class="cell notice">.*?<small>([0-9]{4})', html, re.DOTALL)

    seen = str(served.desk.revision)
    assert served.press("add_amount", {"typed": "45"}, one)[1]["x-till-said"] == "done"
    said = served.press("pay", {}, {**two, "X-Till-Seen": seen})[2]
    assert f"<small>{StaleScreen.number}</small>" in said
    assert (told_to(one), told_to(two)) == ([], [str(StaleScreen.number)])
    served.press("fly", {}, one)
    assert (told_to(one), told_to(two)) == (["5027"], [str(StaleScreen.number)]), "each its own"
    assert served.press("add_amount", {"typed": "5"}, one)[1]["x-till-said"] == "done"
    assert (told_to(one), told_to(two)) == ([], [str(StaleScreen.number)]), "what one does is no answer for the other"
    light = served.desk.view()["light"]
    served.desk.show({**served.desk.view(), "light": views.light("accepted")})
    assert told_to(two) == []
    served.desk.show({**served.desk.view(), "light": light})
    assert told_to(two) == [], "and it does not come back"
    windows = [{"X-Till-Window": f"w{number}"} for number in range(2 * REFUSED_MAX)]
    for window in windows:
        served.press("fly", {}, window)
    assert (told_to(windows[0]), told_to(windows[-1])) == ([], ["5027"]), "as many as can be open are remembered"


def test_a_scan_on_the_customers_display_is_answered_with_its_own_screen(served: Served) -> None:
    for text, said in (("8850999220017", "done"), ("x" * 701, "refused"), ("", "refused")):
        body = urlencode({"text": text}).encode()
        status, headers, html = served.ask("POST", "/customer/scanned", body, served.proof())
        assert (status, headers["x-till-said"]) == (200, said)
        assert 'data-screen="idle"' in html and "<button" not in html and "<form" not in html
    assert served.desk.scans == ["8850999220017"]
    assert served.ask("POST", "/customer/scanned", b"text=1", {**served.proof(), "X-Till-Token": ""})[0] == 403
    assert served.ask("GET", "/customer/scanned?text=1")[0] == 404
    token = served.ask("GET", "/customer/screen")[1]["set-cookie"]
    assert served.token in token, "a display that outlived a start of the program can still press"


def test_a_pin_is_never_repeated(served: Served) -> None:
    served.desk.show(views.tills()["locked"])
    for pin in ("271828", "2749"):
        _status, _headers, said = served.press("sign_in", {"code": "01", "pin": pin})
        assert pin not in said and pin not in served.ask("GET", "/screen")[2]
    assert served.desk.acts[-1] == ("sign_in", {"code": "01", "pin": "2749"})


def test_what_the_desk_says_is_never_markup(served: Served) -> None:
    evil = "<img src=x onerror=alert(1)>\"'&"
    sold = views.line(1, 0, 1, 100) | {"name_th": evil}
    served.desk.show(
        views.selling([sold], light=views.light("refused", evil), notice={"refusal": views.refusal(1, evil)})
    )
    assert "<img" not in served.ask("GET", "/screen")[2]
    served.desk.show({**views.tills()["promptpay"], "qr": evil})
    assert "<img" not in served.ask("GET", "/screen")[2]


def test_news_tell_each_revision_and_the_start(served: Served) -> None:
    with served.listening() as one, served.listening() as two:
        assert told(one) == told(two)
        served.desk.show(views.selling([]))
        first, second = told(one), told(two)
        assert first == second and first["revision"] == served.desk.revision
        assert f'data-boot="{first["boot"]}"' in served.ask("GET", "/screen")[2]


def test_it_makes_room_for_as_many_windows_as_it_says(served: Served) -> None:
    def status() -> int:
        with served.listening() as stream:
            return stream.status

    with ExitStack() as several:
        for _ in range(LISTENERS_MAX):
            assert told(several.enter_context(served.listening()))
        assert status() == 503
    until_s = time.monotonic() + 5
    while status() != 200:
        served.desk.show()  # a stream notices that its window is gone when it has something to tell
        assert time.monotonic() < until_s


def test_a_screen_that_cannot_be_drawn_says_so_without_a_trace(served: Served) -> None:
    served.desk.show({"screen": "sale", "language": "th"})
    status, headers, said = served.ask("GET", "/screen")
    assert status == 500 and "5029" in said and "Error" not in said and "Traceback" not in said
    assert "default-src 'none'" in headers["content-security-policy"]
    served.desk.show(views.selling([]))
    assert served.ask("GET", "/screen")[0] == 200


def test_a_view_with_gaps_is_still_drawn_for_the_cashier() -> None:
    """What a till lacks is left out: only tests want an error."""
    gaps = {
        "screen": "sale",
        "language": "th",
        "revision": 1,
        "link": {"badge": "synced"},
        "clock": {"trust": "synced"},
    }
    assert 'data-screen="sale"' in Renderer().screen("till", gaps)
    assert "สวัสดี" not in Renderer().screen("till", {**gaps, "screen": "no-such-screen"})


def test_it_ends_soon_with_open_windows_and_its_port_is_free_again() -> None:
    served = Served()
    with served.listening() as stream:
        assert told(stream)
        began_s = time.monotonic()
        served.close()
        assert time.monotonic() - began_s < END_S_MAX
        assert stream.read().strip() == b"", "the stream has ended"
    assert not [one for one in threading.enumerate() if one.name.startswith("page")]
    again = PageServer(MemoryDesk(), served.port)
    again.start()
    again.close()
    again.close()


def test_a_taken_port_is_told() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PagePortTaken):
            PageServer(MemoryDesk(), other.getsockname()[1]).start()


def test_it_listens_on_this_machine_alone() -> None:
    served = Served()
    try:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{served.port:04X}")]
        assert listening == [f"0100007F:{served.port:04X}"]
    finally:
        served.close()


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: 127", b"POST"])
def test_connections_without_a_whole_request_are_ended_and_keep_nobody_out(served: Served, begun: bytes) -> None:
    """More of them than there are places; and one that asked once and then begins again without an end."""
    with ExitStack() as stack:
        held: list[socket.socket] = []
        until_s = time.monotonic() + 2 * REQUEST_S_MAX + END_S_MAX
        for number in range(CONNECTIONS_MAX + 5):
            one = stack.enter_context(socket.create_connection((HOST, served.port), timeout=2 * REQUEST_S_MAX))
            if number == 0:
                one.sendall(f"GET /screen HTTP/1.1\r\nHost: {HOST}:{served.port}\r\n\r\n".encode())
                assert one.recv(4).startswith(b"HTTP")
            one.sendall(begun)
            held.append(one)
        while served.ask("GET", "/")[0] != 200:
            assert time.monotonic() < until_s, "they keep the till's own window out"
            time.sleep(0.05)
        for one in held:
            with suppress(ConnectionError):
                while one.recv(65_536):
                    pass
    assert served.ask("GET", "/screen")[0] == 200


def test_a_body_that_does_not_come_is_waited_for_no_longer(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """With all that our own page would send before it; and nobody's log gets a stack trace of it."""
    lines = [f"{name}: {value}" for name, value in served.proof({"Content-Length": "9"}).items()]
    head = "\r\n".join(["POST /act/pay HTTP/1.1", f"Host: {HOST}:{served.port}", *lines, "", "typed"])
    with socket.create_connection((HOST, served.port), timeout=2 * REQUEST_S_MAX) as held:
        held.sendall(head.encode())
        with suppress(ConnectionError):
            while held.recv(65_536):
                pass
    served.close()
    assert served.desk.acts == [] and caplog.messages == []


def test_a_window_that_listens_is_not_ended_for_its_silence(served: Served) -> None:
    with served.listening() as stream:
        told(stream)
        until_s = time.monotonic() + REQUEST_S_MAX + 1
        while time.monotonic() < until_s:
            served.ask("GET", "/screen")
            time.sleep(0.2)
        served.desk.show({**served.desk.view(), "light": views.light("accepted")})
        assert told(stream)
