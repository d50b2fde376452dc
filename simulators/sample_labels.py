"""Labels as a bench prints them: for tests and the pictures in `docs/bench/labels`.

python -m simulators.sample_labels docs/bench/labels
"""

import argparse
from pathlib import Path

from firmware.flash.label_facts import LabelFacts
from firmware.flash.label_picture import LabelPainter, parse_size
from offline_ledger.protocol.label import Label

AT_S = 1_795_312_345
FOUND = "เทศบาลนครขอนแก่น โทร. 043-271-123"
KEY_ID = bytes.fromhex("ab12cd34ef567890")
SERIAL, MAC = "10000000abcdef01", "dc:a6:32:01:02:03"
HEAD_SERIAL = "E6614103E7452D2F"
SAMPLES = {
    "bus": LabelFacts(Label("BUS-0012", "TH-40", SERIAL, KEY_ID), "bus", SERIAL, MAC, AT_S),
    "shop": LabelFacts(Label("ร้านป้าน้อย-1", "TH-40", SERIAL, KEY_ID), "pos", SERIAL, MAC, AT_S),
    "head": LabelFacts(Label(HEAD_SERIAL, "TH-40", HEAD_SERIAL, b""), "head", HEAD_SERIAL, "", AT_S),
    "long": LabelFacts(
        Label("BUENG-KAEN-NAKHON-SQUARE-STALL42", "TH-40-KHON-KAEN1", f"{SERIAL}abcd", KEY_ID),
        *("training", f"{SERIAL}abcd", MAC, AT_S),
    ),
}
"""By name; `long` has the longest id, city and serial that a label may have."""
PICTURES = (
    *(("bus", "50x30", 203), ("bus", "50x30", 300), ("bus", "40x30", 203), ("bus", "58mm", 203)),
    *(
        ("shop", "62x29", 203),
        ("head", "40x30", 203),
        ("head", "58mm", 203),
        ("long", "50x30", 300),
        ("long", "80mm", 203),
    ),
)


def draw_samples(folder: Path) -> list[Path]:
    """The pictures of `docs/bench/labels`."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[Path] = []
    for name, size, dpi in PICTURES:
        drawn.append(folder / f"{name}-{size}-{dpi}.png")
        LabelPainter(dpi).draw(SAMPLES[name], parse_size(size), FOUND).save(drawn[-1], dpi=(dpi, dpi), optimize=True)
    return drawn


def main() -> None:
    """Draws them."""
    parser = argparse.ArgumentParser(prog="simulators.sample_labels")
    parser.add_argument("folder", type=Path)
    print(*draw_samples(parser.parse_args().folder), sep="\n")


if __name__ == "__main__":
    main()
