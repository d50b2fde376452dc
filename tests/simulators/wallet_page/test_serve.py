"""The wallet page over HTTP: its own files under a strict policy, and a way to the city that changes no byte."""

import socket
import ssl
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from offline_ledger.protocol import cbor
from offline_ledger.texts import Texts
from simulators.demo.processes import PYTHON, Child
from simulators.demo.town import Town
from simulators.wallet_page.lan import demo_tls, own_addresses
from simulators.wallet_page.pipe import BODY_BYTES_MAX, CityAway, CityPipe
from simulators.wallet_page.run import wallet
from simulators.wallet_page.serve import WalletPage
from tests.simulators.wallet_page.phone import Phone

NOWHERE = "https://127.0.0.1:9"


class Answer:
    """Of one request."""

    def __init__(self, port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> None:
        with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as link:
            link.request(method, path, body, headers)
            said = link.getresponse()
            self.status, self.body, self.headers = said.status, said.read(), said.headers


def test_it_serves_its_own_files_and_answers_nobody_else(city: Town, served: WalletPage) -> None:
    port, own = served.port, f"http://localhost:{served.port}"
    for path, kind in (("/", "text/html"), ("/app.js", "text/javascript"), ("/Sarabun-Bold.ttf", "font/ttf")):
        found = Answer(port, "GET", path)
        assert found.status == 200 and found.headers["content-type"].startswith(kind)
        policy = found.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe-inline" not in policy and "'unsafe-eval'" not in policy
        assert "http" not in policy
    assert Answer(port, "GET", "/", Host="elsewhere.example").status == 403, "a name that was bent to this machine"
    assert Answer(port, "GET", "/../serve.py").status == 404
    assert Answer(port, "GET", "/ca.crt").status == 404, "only for a local network"
    wallet = "/city/v1/wallet"
    assert Answer(port, "POST", wallet, b"x").status == 403, "no Origin: not a page"
    assert Answer(port, "POST", wallet, b"x", Origin="http://elsewhere.example").status == 403
    assert Answer(port, "GET", wallet).status == 405
    for other in ("/city/v1/batches", "/city/v1/enrolments", "/city/v1/time", "/city/openapi.json"):
        assert Answer(port, "POST", other, b"x", Origin=own, Host=f"localhost:{port}").status == 404, other


def test_the_way_to_the_city_changes_no_byte_and_is_bounded(city: Town, served: WalletPage) -> None:
    port = served.port
    ours = {"Origin": f"http://127.0.0.1:{port}"}
    lists = Answer(port, "GET", "/city/v1/trust-lists?after=0")
    direct = CityPipe(city.city.url, city.city.ca_file).trust_lists(0)
    assert (lists.status, lists.body, lists.headers["content-type"]) == (200, direct.body, "application/cbor")
    refused = Answer(port, "POST", "/city/v1/wallet", b"no request", **ours)
    said: Any = cbor.decode(refused.body, 1_024)
    assert refused.status == 422 and said[1] == 1004, "the city's own word"
    assert Answer(port, "POST", "/city/v1/wallet", bytes(BODY_BYTES_MAX + 1), **ours).status == 413
    assert Answer(port, "POST", "/city/v1/wallet", b"x", **ours, **{"kgo-invitation": "X" * 65}).status == 400
    nobody = Answer(port, "GET", "/city/v1/certificates?device=nobody%20here")
    said = cbor.decode(nobody.body, 1_024)
    assert nobody.status == 404 and said[3] == "certificate of nobody here"
    for device in ("", "x" * 33):
        assert Answer(port, "GET", f"/city/v1/certificates?device={device}").status == 400
    for after in ("-1", "x", "1" * 16, "%31%0d%0a"):
        assert Answer(port, "GET", f"/city/v1/trust-lists?after={after}").status == 400


def test_a_city_that_is_away_or_none_is_said_to_be_so(tmp_path: Path) -> None:
    with demo_tls(("127.0.0.1",)) as tls, WalletPage(NOWHERE, tls.ca) as served:
        away = Answer(served.port, "GET", "/city/v1/trust-lists?after=0")
        assert away.status == 502 and away.headers["content-type"].startswith("text/plain")
        itself = CityPipe(f"https://localhost:{served.port}", tls.ca)
        with pytest.raises(CityAway):
            itself.trust_lists(0)


def test_for_a_local_network_it_speaks_tls_under_a_ca_of_its_own(city: Town, chromium: Browser) -> None:
    with demo_tls(("127.0.0.1",)) as tls, WalletPage(city.city.url, city.city.ca_file, tls=tls) as served:
        assert served.url == f"https://127.0.0.1:{served.port}/"
        context = ssl.create_default_context(cafile=str(tls.ca))
        with closing(HTTPSConnection("127.0.0.1", served.port, timeout=20, context=context)) as link:
            link.request("GET", "/ca.crt")
            answer = link.getresponse()
            assert answer.status == 200 and answer.read() == tls.ca.read_bytes()
        it_works_where_the_warning_was_clicked_away(served, chromium)
        assert not tls.ca.with_name("ca.key").exists() and tls.key.stat().st_mode & 0o077 == 0
    assert not tls.ca.exists(), "gone with the program"
    assert all(not name.startswith("127.") for name in own_addresses())


def it_works_where_the_warning_was_clicked_away(served: WalletPage, chromium: Browser) -> None:
    """Such a browser keeps no files of the page, which is no reason to show nothing."""
    context = chromium.new_context(ignore_https_errors=True)
    phone = Phone(context, served.url).register()
    phone.until("navigator.serviceWorker !== undefined")
    expect(phone.page.locator("#left")).to_have_text("100.00")
    assert [line for line in phone.trouble if "certificate" not in line] == []
    context.add_init_script('Object.defineProperty(crypto, "subtle", { value: undefined });')
    unsafe = Phone(context, served.url)
    unsafe.page.goto(served.url)
    assert "https://" in unsafe.notice(), "as at an address without TLS, where browsers have no keys"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        yield bound.getsockname()[1]


def test_the_command_says_where_it_is(city: Town, tmp_path: Path) -> None:
    words = (*PYTHON, "simulators", "wallet", "--language", "en", "--connect", city.city.url)
    words = (*words, "--ca", str(city.city.ca_file), "--port", "0")
    with Child("wallet", words, tmp_path / "good.log") as program:
        said = program.wait_for(lambda line: "text" in line, 0, "the address")
        port = int(said["text"].rstrip("/").rpartition(":")[2])
        assert said["text"].startswith("wallet page: http://localhost:") and Answer(port, "GET", "/").status == 200
        assert program.stop() == 0


def test_the_command_says_why_it_serves_nothing(
    city: Town, taken: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, ca = city.city.url, city.city.ca_file
    for connect, file, port, why in (
        (url, ca, taken, f"port {taken} is taken"),
        (url, tmp_path / "none", 0, "cannot be served"),
        (url, Path(__file__), 0, "cannot be served"),
        ("http://localhost:1", ca, 0, "https://"),
    ):
        assert wallet(Texts("en"), Namespace(connect=connect, ca=file, port=port, lan=False)) == 2
        assert why in capsys.readouterr().err
