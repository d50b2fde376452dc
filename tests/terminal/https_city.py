"""The city in the test behind real HTTPS on 127.0.0.1, with a private CA made for the test (TEST ONLY keys)."""

import datetime
import socket
import ssl
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from offline_ledger.terminal.ports import CityAnswer, CityRequest
from tests.terminal.city_in_test import CityInTest

START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TestAuthority:
    """A private CA: its certificate file, and what signs with it."""

    __test__ = False
    ca_file: Path
    name: x509.Name
    key: ec.EllipticCurvePrivateKey


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(START)
        .not_valid_after(START + DAY * days)
    )


def make_authority(folder: Path, name: str = "TEST ONLY CA") -> TestAuthority:
    """A CA of its own, its certificate in a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(name)
    made = (
        _builder(subject, subject, key, 36_500)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(False, False, False, False, False, key_cert_sign=True, crl_sign=True, encipher_only=False,
                          decipher_only=False),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    ca_file = folder / f"{name.replace(' ', '-')}.pem"
    ca_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return TestAuthority(ca_file, subject, key)


def server_context(
    folder: Path, authority: TestAuthority, *, host: str = "127.0.0.1", days: int = 36_500
) -> ssl.SSLContext:
    """A server's TLS with a certificate for `host` that is valid so many days from 2020 on."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        _builder(_named("TEST ONLY city"), authority.name, key, days)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    pem = folder / "TEST-ONLY-server.pem"
    pem.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


class HttpsCity:
    """Serves one city until closed. `spoil` may replace an answer, or give None to hang up without one."""

    def __init__(self, city: CityInTest, context: ssl.SSLContext | None) -> None:
        self.city = city
        self.requests: list[CityRequest] = []
        self.replace: CityAnswer | None = None
        self.say_length: int | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 20

            def _serve(self) -> None:
                size = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(size) if size else None
                headers = tuple((name.lower(), value) for name, value in self.headers.items())
                request = CityRequest(self.command, self.path, body, 0, headers)
                outer.requests.append(request)
                answer = outer.replace or outer.city.answer(request)
                self.send_response(answer.status)
                self.send_header("content-type", "application/cbor")
                self.send_header("content-length", str(outer.say_length or len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
                if outer.say_length is not None:
                    self.close_connection = True

            do_GET = _serve
            do_POST = _serve

            def log_message(self, format: str, *args: object) -> None:
                """Tests are quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def finish_request(self, request: Any, client_address: object) -> None:
                """In the connection's own thread, and not before the peer has said something: a peer that resets first
                makes CPython leave the socket open that it was wrapping."""
                if context is None:
                    super().finish_request(request, client_address)
                    return
                request.settimeout(Handler.timeout)
                if request.recv(1, socket.MSG_PEEK):
                    with context.wrap_socket(request, server_side=True) as secure:
                        super().finish_request(secure, client_address)

            def handle_error(self, request: object, client_address: object) -> None:
                """Broken links are what these tests make."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> "HttpsCity":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
