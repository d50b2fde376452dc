"""The signer of a key in a PKCS #11 token: SoftHSM behind a shim that pulls, slows and spoils it. DESIGN §3, §4.

Real modules in this very process; decision 0230.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, ObjectClass

from offline_ledger.errors import (
    KeyAmbiguous,
    KeyMechanismMissing,
    KeyModuleMissing,
    KeyNotInToken,
    KeyOfAnother,
    KeyPinFileUnsafe,
    KeyPinLocked,
    KeyPinUnmarked,
    KeyPinWrong,
    KeyTokenGone,
    KeyTokenMissing,
    KeyTpmLocked,
    Refusal,
    SettingsInvalid,
    StorageFailed,
)
from offline_ledger.protocol import cose
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.kinds import Kind
from offline_ledger.terminal.enrol import own_key
from offline_ledger.terminal.own_identity import DeviceFiles, open_provisioned
from offline_ledger.terminal.program import Place, Program, read_terminal_settings
from offline_ledger.terminal.signers import pkcs11_key
from offline_ledger.terminal.signers.key_place import TokenPlace, own_or_new_key
from offline_ledger.terminal.signers.pkcs11_key import TokenSigner, open_token
from offline_ledger.terminal.trust import TrustStore
from simulators.demo.city import free_port
from simulators.demo.processes import wait_until
from simulators.keys import SimulatedKey
from simulators.token.soft_token import SoftToken, SoftTpm
from tests.terminal.city_in_test import CITY, DEVICE, certificate, trust_list

PIN = "123456"
AAD = cose.external_aad(Kind.VOUCHER, "TH-40")


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftToken]:
    made = SoftToken(tmp_path / "hsm")
    made.add("kgo-a", PIN)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    yield made
    pkcs11.unload(str(made.module))


@pytest.fixture
def place(token: SoftToken, tmp_path: Path) -> TokenPlace:
    return TokenPlace(token.module, "kgo-a", "kgo", write_pin(tmp_path / "pin", f"{PIN}\n"))


def write_pin(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def signer_of(place: TokenPlace) -> TokenSigner:
    made = own_or_new_key(Path("no-file"), place, lambda: None, was_enrolled=False)
    assert isinstance(made, TokenSigner)
    return made


def is_signed(signer: TokenSigner, payload: bytes = b"x") -> bool:
    signed = cose.sign1(payload, AAD, cose.key_id_of(signer.point), signer.sign)
    return cose.is_signature_of(signed, cose.verify_key(signer.point))


def test_a_key_is_made_in_the_token_and_does_not_come_out(place: TokenPlace) -> None:
    made = signer_of(place)
    assert is_signed(made)
    made.close()
    again = signer_of(place)
    assert again.point == made.point, "the second start finds it"
    again.close()
    with pkcs11.lib(str(place.module)).get_token(token_label="kgo-a").open(user_pin=PIN) as session:
        (private,) = session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})
        said = {one: private[one] for one in (Attribute.SENSITIVE, Attribute.EXTRACTABLE, Attribute.NEVER_EXTRACTABLE)}
        assert list(said.values()) == [True, False, True]
        with pytest.raises(pkcs11.AttributeSensitive):
            _ = private[Attribute.VALUE]


def test_signatures_differ_and_the_identity_does_not(place: TokenPlace) -> None:
    signer = signer_of(place)
    first, second = (cose.sign1(b"x", AAD, cose.key_id_of(signer.point), signer.sign) for _ in range(2))
    assert first.signature != second.signature and first.identity == second.identity


def why_not(signer: TokenSigner) -> Refusal | None:
    try:
        signer.sign(b"x")
    except Refusal as refusal:
        return refusal
    return None


def signs(signer: TokenSigner) -> bool:
    return why_not(signer) is None and is_signed(signer)


def refused(place: TokenPlace) -> Refusal:
    with pytest.raises(Refusal) as found:
        open_token(place)
    return found.value


def test_no_module(place: TokenPlace, tmp_path: Path) -> None:
    assert isinstance(refused(place._replace(module=tmp_path / "none.so")), KeyModuleMissing)
    text = tmp_path / "text.so"
    text.write_text("not a library")
    assert isinstance(refused(place._replace(module=text)), KeyModuleMissing)
    assert isinstance(refused(place._replace(module=Path(apsw.__file__))), KeyModuleMissing), "a library"


def test_no_token_and_no_key(place: TokenPlace, token: SoftToken) -> None:
    assert isinstance(refused(place._replace(token="kgo-b")), KeyTokenMissing)
    assert isinstance(refused(place), KeyNotInToken)
    token.pull()
    assert isinstance(refused(place), KeyTokenMissing) and refused(place).waiting_helps


@pytest.mark.parametrize(
    ("text", "mode"),
    [("", 0o600), ("\n", 0o600), (f"{PIN}\n\n1", 0o600), (PIN, 0o644), (PIN, 0o640), ("1" * 300, 0o600)],
)
def test_a_pin_file_that_cannot_be_used(place: TokenPlace, token: SoftToken, text: str, mode: int) -> None:
    write_pin(place.pin_file, text, mode)
    assert isinstance(refused(place), KeyPinFileUnsafe)
    place.pin_file.unlink()
    assert isinstance(refused(place), KeyPinFileUnsafe)
    assert token.logins == 0


def test_a_wrong_pin_is_tried_once_for_each_writing_of_its_file(
    place: TokenPlace, token: SoftToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer_of(place).close()
    before = token.logins
    write_pin(place.pin_file, "999999")
    for _ in range(5):
        assert isinstance(refused(place), KeyPinWrong)
    monkeypatch.setattr(pkcs11_key, "_refused", {})  # as after a restart
    assert isinstance(refused(place), KeyPinWrong)
    assert token.logins == before + 1, "a token locks itself after a few"
    write_pin(place.pin_file, "999998")
    assert isinstance(refused(place), KeyPinWrong) and token.logins == before + 2
    write_pin(place.pin_file, PIN)
    open_token(place).close()


def test_no_pin_is_tried_where_no_mark_can_be_kept(
    place: TokenPlace, token: SoftToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each restart would spend a try of a wrong one."""
    signer_of(place).close()
    before, mark = token.logins, place.pin_file.with_name("pin.refused")
    assert not mark.exists(), "it was good"
    write_pin(place.pin_file, "999999")
    mark.mkdir()
    for _restart in range(5):
        monkeypatch.setattr(pkcs11_key, "_refused", {})
        assert isinstance(refused(place), KeyPinUnmarked) and refused(place).waiting_helps
    assert token.logins == before
    mark.rmdir()
    write_pin(place.pin_file, PIN)
    open_token(place).close()


def test_a_power_cut_within_a_login_does_not_end_a_terminal(place: TokenPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    signer_of(place).close()
    mark = place.pin_file.with_name("pin.refused")
    with monkeypatch.context() as cut:
        cut.setattr("offline_ledger.terminal.signers.pkcs11_key._PinMark.accepted", lambda _mark: None)
        open_token(place).close()
    assert mark.read_bytes().startswith(b"begun "), "durable before the try"
    open_token(place).close()
    assert not mark.exists()


@pytest.mark.parametrize("words", ["last", "locked"])
def test_the_last_try_is_never_spent(place: TokenPlace, token: SoftToken, words: str) -> None:
    token.say(words)
    assert isinstance(refused(place), KeyPinLocked) and token.logins == 0


def test_two_tokens_of_a_name_two_keys_of_a_label_half_a_pair(place: TokenPlace, token: SoftToken) -> None:
    token.add("kgo-b", PIN)
    other = place._replace(token="kgo-b")
    signer_of(other).close()
    with pkcs11.lib(str(place.module)).get_token(token_label="kgo-b").open(rw=True, user_pin=PIN) as session:
        (half,) = session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY})
        half.copy({Attribute.LABEL: "kgo"})
    assert isinstance(refused(other), KeyAmbiguous)
    with pkcs11.lib(str(place.module)).get_token(token_label="kgo-b").open(rw=True, user_pin=PIN) as session:
        for one in session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY}):
            one.destroy()
    assert isinstance(refused(other), KeyAmbiguous), "a private key alone is never made anew"
    token.add("kgo-a", PIN)
    pkcs11.lib(str(place.module)).reinitialize()  # SoftHSM looks for new ones then
    assert isinstance(refused(place), KeyAmbiguous)


def test_half_a_pair_that_a_power_cut_left_is_made_again(place: TokenPlace) -> None:
    with pkcs11.lib(str(place.module)).get_token(token_label="kgo-a").open(rw=True, user_pin=PIN) as session:
        curve = session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: bytes.fromhex("06082a8648ce3d030107")}, local=True
        )
        _public, private = curve.generate_keypair(store=True, label="kgo")
        private.destroy()
    assert isinstance(refused(place), KeyNotInToken)
    assert is_signed(signer_of(place))


def test_no_key_is_made_in_place_of_one_that_was_certified(place: TokenPlace, tmp_path: Path) -> None:
    files = DeviceFiles(tmp_path / "no-file", tmp_path / "certificate", tmp_path / "trust-list", place)
    TrustStore.provision(files.trust_list, CITY, [trust_list()[0]])
    files.certificate.write_bytes(certificate(SimulatedKey(5).point))
    with pytest.raises(KeyNotInToken):
        own_key(files)
    made = signer_of(place)
    with pytest.raises(KeyOfAnother):
        open_provisioned(files, CITY, DEVICE)
    assert own_key(files).point == made.point
    assert not new_key_mark(files).exists(), "a key that was there may have been used elsewhere"
    files.certificate.write_bytes(certificate(made.point))
    assert open_provisioned(files, CITY, DEVICE).signer.point == made.point
    assert not files.key.exists()


def test_a_tpm_in_lockout_says_so_and_is_opened_by_what_its_remedy_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut counts as a wrong PIN there: the PIN is right, nothing is spent, and no maker's tool is needed."""
    (module,) = Path("/usr/lib").glob("*/libtpm2_pkcs11.so.1")
    with SoftTpm(tmp_path / "tpm", free_port(), module, power_cuts_max=1) as tpm:
        for name, value in tpm.environment.items():
            monkeypatch.setenv(name, value)
        tpm.add("kgo-a", PIN)
        place = TokenPlace(module, "kgo-a", "kgo", write_pin(tmp_path / "pin", PIN))
        signer = signer_of(place)
        assert is_signed(signer)
        tpm.cut()
        tpm.start()
        wait_until(lambda: isinstance(why_not(signer), KeyTpmLocked), "the lockout")
        assert KeyTpmLocked.waiting_helps
        tpm.bear_power_cuts()
        wait_until(lambda: signs(signer), "the TPM to be found again")
        signer.close()
    pkcs11.unload(str(module))


def new_key_mark(files: DeviceFiles) -> Path:
    return files.certificate.with_name(f"{files.certificate.name}.new-key")


def test_a_key_that_is_made_is_marked_first(place: TokenPlace, tmp_path: Path) -> None:
    files = DeviceFiles(tmp_path / "no-file", tmp_path / "certificate", tmp_path / "trust-list", place)
    new_key_mark(files).mkdir()
    with pytest.raises(StorageFailed):
        own_key(files)
    assert isinstance(refused(place), KeyNotInToken), "no mark, no key"
    new_key_mark(files).rmdir()
    own_key(files)
    assert new_key_mark(files).exists()
    new_key_mark(files).unlink()
    own_key(files)
    assert not new_key_mark(files).exists()


def test_a_token_without_ecdsa(place: TokenPlace, token: SoftToken) -> None:
    token.say("nomech")
    assert isinstance(refused(place), KeyMechanismMissing)


def test_a_token_that_was_pulled_is_found_again(place: TokenPlace, token: SoftToken) -> None:
    signer = signer_of(place)
    token.pull()
    for _ in range(3):
        with pytest.raises(KeyTokenGone):
            signer.sign(b"x")
        with pytest.raises(KeyTokenGone):
            signer.check()
    token.plug()
    with pytest.raises(KeyTokenGone):
        signer.sign(b"x")  # it is not looked for in every tap
    wait_until(lambda: signs(signer), "the token to be found")
    signer.check()


def test_a_token_that_was_away_between_two_taps_is_no_trouble(place: TokenPlace, token: SoftToken) -> None:
    signer = signer_of(place)
    token.pull()
    assert pkcs11.lib(str(place.module)).get_slots(token_present=True) == [], "its sessions are over now"
    token.plug()
    assert is_signed(signer)


def test_another_token_in_its_place(
    place: TokenPlace, token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = signer_of(place)
    token.pull()
    with pytest.raises(KeyTokenGone):
        signer.sign(b"x")
    other = SoftToken(tmp_path / "other")
    other.add("kgo-a", PIN)
    monkeypatch.setenv("SOFTHSM2_CONF", other.environment["SOFTHSM2_CONF"])
    pkcs11.lib(str(place.module)).reinitialize()
    token.plug()
    signer_of(place).close()
    wait_until(lambda: isinstance(why_not(signer), KeyOfAnother), "the other token to be found")


def test_a_wrong_signature_is_nobodys(place: TokenPlace, token: SoftToken) -> None:
    signer = signer_of(place)
    token.say("bad")
    with pytest.raises(KeyTokenGone):
        signer.sign(b"x")
    token.say("")
    wait_until(lambda: signs(signer), "the token to be found")


def test_threads_take_turns_and_a_look_never_waits(place: TokenPlace, token: SoftToken) -> None:
    signer = signer_of(place)
    token.say("slow=100")
    good: list[bool] = []
    threads = [threading.Thread(target=lambda at=at: good.append(is_signed(signer, bytes([at])))) for at in range(4)]
    for thread in threads:
        thread.start()
    began_s = time.monotonic()
    while len(good) < 2:
        signer.check()
        assert time.monotonic() - began_s < 10
    for thread in threads:
        thread.join()
    assert good == [True] * 4


def test_settings_of_a_token_are_told_when_one_is_missing(tmp_path: Path) -> None:
    file, program = tmp_path / "bus.toml", Program("kgo-bus", "help.bus", DeviceRole.VALIDATOR, lambda _opened: 0)
    usual = '[device]\ncity = "TH-40"\nid = "b"\n[city]\nurl = "https://x"\nca_file = "ca"\n'
    usual += '[scanner]\nport = "/dev/s"\n[key]\n'
    file.write_text(usual + 'kind = "pkcs11"\n')
    with pytest.raises(SettingsInvalid) as wrong:
        read_terminal_settings(program, file, "en")
    assert [one for one in wrong.value.problems if 'must be named when key.kind is "pkcs11"' in one] == list(
        wrong.value.problems
    )
    assert len(wrong.value.problems) == 3
    file.write_text(usual + 'kind = "pkcs11"\nmodule = "/m.so"\ntoken = "t"\npin_file = "pin"\n')
    place = Place(program, read_terminal_settings(program, file, "en"), file)
    assert place.files().token == TokenPlace(Path("/m.so"), "t", "kgo", tmp_path / "pin")
    file.write_text(usual + 'pin_file = "device.key"\n')
    with pytest.raises(SettingsInvalid):
        read_terminal_settings(program, file, "en")
