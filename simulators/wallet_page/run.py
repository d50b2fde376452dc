"""`kgo-sim wallet`: the wallet page of one city, on this machine or for phones in the same network. DESIGN §3, §11.

Exit code 2 for words that do not fit, a port that is taken or a CA file that is none.
"""

import contextlib
import errno
import sys
from argparse import Namespace
from pathlib import Path
from ssl import SSLError

from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import Commands, whole
from simulators.qr_picture import qr_blocks

OK, USAGE = 0, 2
PORT, PORT_MAX = 8_840, 65_535


def add_wallet(commands: Commands, texts: Texts) -> None:
    """The command's words."""
    made = commands.add("wallet")
    made.add_argument("--connect", metavar="URL", required=True)
    made.add_argument("--ca", type=Path, metavar="FILE", required=True)
    made.add_argument("--port", type=whole(texts, 0, PORT_MAX), default=PORT, metavar="PORT")
    made.add_argument("--lan", action="store_true")


def wallet(texts: Texts, said: Namespace) -> int:
    """Serves it until it is told to stop; the exit code."""
    from simulators.wallet_page.lan import demo_tls, own_addresses
    from simulators.wallet_page.serve import WalletPage

    if not said.connect.startswith("https://"):
        return _told(texts.get("phone.https", url=said.connect[:80]))
    names = own_addresses() if said.lan else ()
    if said.lan and not names:
        print(texts.get("sim.wallet.lan_none"), file=sys.stderr)
    try:
        with demo_tls(names) if names else contextlib.nullcontext() as tls:
            page = WalletPage(said.connect, said.ca, said.port, tls)
            print(texts.get("sim.wallet.open", url=page.url), flush=True)
            if tls:
                print(
                    qr_blocks(page.url.upper()),
                    texts.get("sim.wallet.lan", ca=f"{page.url}ca.crt"),
                    sep="\n",
                    flush=True,
                )
            with contextlib.suppress(KeyboardInterrupt):  # its usual end
                page.run()
            page.close()
    except OSError as trouble:
        if trouble.errno == errno.EADDRINUSE and not isinstance(trouble, SSLError):
            return _told(texts.get("sim.wallet.port_taken", port=said.port))
        return _told(texts.get("sim.wallet.broken", reason=trouble.strerror or trouble))
    print(texts.get("sim.wallet.stopped"), flush=True)
    return OK


def _told(text: str) -> int:
    print(text, file=sys.stderr)
    return USAGE
