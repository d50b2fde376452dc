"""A demo CA and a server certificate for this machine's addresses, made at each start and gone with it. DESIGN §11.

For trying a terminal with one's own phone, never for a city: who installs the CA trusts whoever runs this machine. The
keys are readable for their owner alone, in a folder of their own that ends with the program.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from offline_ledger.city.ca import make_ca, make_server_certificate
from simulators.wallet_page.serve import Tls

CA_NAME = "demo wallet page"
_ELSEWHERE = ("192.0.2.1", 9)
"""Of a network that is nobody's (RFC 5737): nothing is sent there, the system only says from where it would."""


def own_addresses() -> tuple[str, ...]:
    """This machine's address in the network that it goes out by; none when there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(_ELSEWHERE)
        except OSError:
            return ()
        own: str = asking.getsockname()[0]
    return () if ip_address(own).is_loopback else (own,)


@contextmanager
def demo_tls(names: tuple[str, ...]) -> Iterator[Tls]:
    """For these addresses, until it is left."""
    with TemporaryDirectory(prefix="kgo-demo-ca-") as folder:
        ca_key, ca = Path(folder, "ca.key"), Path(folder, "ca.crt")
        key, certificate = Path(folder, "page.key"), Path(folder, "page.crt")
        now_s = int(time.time())
        make_ca(CA_NAME, ca_key, ca, now_s)
        make_server_certificate(ca_key, ca, key, certificate, names, now_s)
        ca_key.unlink()  # it signs nothing more
        yield Tls(names, certificate, key, ca)
