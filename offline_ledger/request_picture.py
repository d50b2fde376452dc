"""A device's enrolment request as it was carried by hand: in a picture of its code, or as its text. DESIGN §4, §8.

Only finds it: whether it is sound is judged by `protocol.answer.read_enrolment`.
"""

from pathlib import Path

from offline_ledger.errors import FileUnusable, RequestPictureUnreadable
from offline_ledger.protocol import qr
from offline_ledger.protocol.qr import QrType
from offline_ledger.qr_picture import texts_in

TEXT_BYTES_MAX = 4_096
PICTURE_BYTES_MAX = 32_000_000


def request_in(path: Path) -> bytes:
    """The enrolment request in a picture, or in a file with the code's text. Raises RequestPictureUnreadable,
    FileUnusable, the reading refusals."""
    try:
        if path.stat().st_size > PICTURE_BYTES_MAX:
            raise RequestPictureUnreadable(f"{path}: over {PICTURE_BYTES_MAX} bytes")
        with path.open("rb") as file:
            head = file.read(TEXT_BYTES_MAX)
        texts = [head.decode().strip()] if head.startswith(qr.PREFIX.encode()) else texts_in(path)
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise FileUnusable(f"{path}: {error.strerror}") from error
        raise RequestPictureUnreadable(f"{path}: {error}") from error
    requests = [text for text in texts if text.startswith(f"{qr.PREFIX}{QrType.ENROLMENT}:")]
    if len(requests) != 1:
        raise RequestPictureUnreadable(f"{path}: {len(requests)} requests in {len(texts)} codes")
    return qr.decode(requests[0]).objects[0]
