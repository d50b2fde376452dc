"""What a card is made from, beside the package and the boot partition (`simulators.bench_desk.bootfs`). DESIGN §11."""

import datetime
import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SECRET = "$5$TESTONLY$notapassword"
CITY_URL = "https://kgo.example.org:8443"


def customised_by_imager(folder: Path) -> Path:
    """The same after Imager 2 was told a name, an account and a Wi-Fi. What the words are is Imager's own doing
    (`customization_generator.cpp`, `downloadthread.cpp`); nobody has this account."""
    given = "rpi-imager-1764000000000"
    (folder / "user-data").write_text(
        "#cloud-config\nhostname: counter\nmanage_etc_hosts: true\npackages:\n- avahi-daemon\n"
        'timezone: Asia/Bangkok\nkeyboard:\n  model: pc105\n  layout: "th"\nenable_ssh: true\nusers:\n'
        f"- name: somebody\n  shell: /bin/bash\n  lock_passwd: false\n  passwd: {SECRET}\n"
        "  sudo: ALL=(ALL) NOPASSWD:ALL\nssh_pwauth: true\n"
    )
    (folder / "network-config").write_text(
        'network:\n  version: 2\n  wifis:\n    wlan0:\n      dhcp4: true\n      regulatory-domain: "TH"\n'
        f'      access-points:\n        "market":\n          password: "{SECRET}"\n      optional: true\n'
    )
    (folder / "meta-data").write_text(f"instance-id: {given}\n")
    line = (folder / "cmdline.txt").read_text().rstrip("\n")
    (folder / "cmdline.txt").write_text(f"{line} cfg80211.ieee80211_regdom=TH ds=nocloud;i={given}\n")
    return folder


def ca_file(place: Path) -> Path:
    """A city's certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "KGO city")])
    begins = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    place.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return place


def update_root(place: Path) -> Path:
    """The outside of a root of releases; what is inside, `updates.tuf_client` judges."""
    place.write_text(
        json.dumps({"signed": {"_type": "root", "version": 1}, "signatures": [{"keyid": "1", "sig": "2"}]})
    )
    return place
