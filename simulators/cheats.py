"""What a modified wallet app can do, by name. Each is a lie that some guard of the system must catch. DESIGN §2, §5."""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from offline_ledger.protocol import cose, qr
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import Audience, Presentment
from simulators.keys import flipped
from simulators.wallet import FRESH_S, PhoneWallet, WalletState


def clone(wallet_folder: Path, to: Path, city: str, seed: int) -> PhoneWallet:
    """The same keys and counters on a second phone."""
    shutil.copytree(wallet_folder, to)
    return PhoneWallet(to, city, Random(seed))


def restored_backup(wallet_folder: Path, backup: Path) -> Callable[[str, int], PhoneWallet]:
    """Copy now; calling the result puts the old counters back, as a restored phone would."""
    shutil.copytree(wallet_folder, backup)

    def restore(city: str, seed: int) -> PhoneWallet:
        shutil.copytree(backup, wallet_folder, dirs_exist_ok=True)
        return PhoneWallet(wallet_folder, city, Random(seed))

    return restore


def screenshot(wallet: PhoneWallet, at_s: int) -> str:
    """The code as it stood on the screen at `at_s`. A picture of it outlives its intent; making it ages none."""
    return wallet.code_for(wallet.presentment(at_s))


def same_counter_other_audience(wallet: PhoneWallet, audience: Audience, cap_kgo: int, at_s: int) -> str:
    """The n already used, signed again for another place: the same money twice."""
    state = wallet.state
    return wallet.code_for(Presentment(wallet.allowance_hash, state.n, state.sum_kgo, cap_kgo, audience, at_s, FRESH_S))


def understated_sum(wallet: PhoneWallet, by_kgo: int, at_s: int) -> str:
    """A next intent that forgets part of what was spent before."""
    state = wallet.state
    sum_kgo = max(0, state.sum_kgo - by_kgo)
    return wallet.code_for(
        Presentment(wallet.allowance_hash, state.n, sum_kgo, state.authorised_kgo, state.audience, at_s, FRESH_S)
    )


def beyond_the_closing(wallet: PhoneWallet, closed: WalletState, cap_kgo: int, at_s: int) -> str:
    """One more intent under the allowance that `closed` still had, after its rest moved to the next one."""
    now = wallet.state
    wallet.state = closed
    try:
        sum_kgo = closed.sum_kgo + closed.authorised_kgo
        shown = Presentment(wallet.allowance_hash, closed.n + 1, sum_kgo, cap_kgo, Audience.TRANSIT, at_s, FRESH_S)
        return wallet.code_for(shown)
    finally:
        wallet.state = now


def flipped_signatures(text: str, city: str) -> str:
    """The same code with (r, n − s) in both signatures: valid, other bytes, and nothing new."""
    code = qr.decode(text)
    kinds = (Kind.ALLOWANCE, Kind.PRESENTMENT)
    objects: list[bytes] = []
    for raw, kind in zip(code.objects, kinds, strict=True):
        signed = cose.parse_sign1(raw, cose.external_aad(kind, city))
        objects.append(raw[: -len(signed.signature)] + flipped(signed.signature))
    return qr.encode(code.type, *objects)


def foreign_signature(text: str, city: str, other: PhoneWallet) -> str:
    """Somebody else's allowance with my signature under it."""
    code = qr.decode(text)
    signed = cose.parse_sign1(code.objects[1], cose.external_aad(Kind.PRESENTMENT, city))
    key = other.key
    forged = cose.sign1(signed.payload, cose.external_aad(Kind.PRESENTMENT, city), key.key_id, key.sign)
    return qr.encode(code.type, code.objects[0], forged.raw)
