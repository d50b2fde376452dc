"""`qr_frame_decode`: the camera driver's look at one frame, against bare zxing-cpp with the same options."""

from typing import Any

import zxingcpp

from offline_ledger.terminal.drivers.luma import decode_luma
from simulators.qr_picture import qr_picture
from simulators.scene import READABLE, render
from tests.bench.measure import Part, Row, interleave, row_of
from tests.terminal.desk import issue

WIDTH_PX, HEIGHT_PX = 640, 480


def rows(calls_per_round: int = 100) -> list[Row]:
    """One clean VGA frame with a presentment in it."""
    held = issue(77)
    held.next()
    text = held.code()
    frame = render(qr_picture(text), READABLE["clear"], seed=1).tobytes()
    luma = memoryview(frame)
    zxing: Any = zxingcpp
    plane = luma.cast("B", (HEIGHT_PX, WIDTH_PX))

    def bare(_index: int) -> None:
        found = zxing.read_barcodes(
            plane,
            zxing.BarcodeFormat.QRCodeModel2,
            try_rotate=False,
            try_downscale=False,
            try_invert=False,
            text_mode=zxing.TextMode.Plain,
        )
        assert found[0].text == text

    def ours(_index: int) -> None:
        assert list(decode_luma(frame, WIDTH_PX, HEIGHT_PX)) == [text]

    samples = interleave([Part("bare", bare), Part("ours", ours), Part("bare_again", bare)], calls_per_round)
    reference = row_of("qr_frame_bare", "us", samples["bare"])
    return [
        reference,
        row_of("qr_frame_decode", "us", samples["ours"], reference),
        row_of("qr_frame_noise", "us", samples["bare_again"], reference),
    ]
