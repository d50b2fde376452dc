"""A QR text as a wallet's screen or a paper ticket shows it: drawn as the programs draw theirs. DESIGN §4."""

from offline_ledger.qr_picture import PictureTooDense, check_version, qr_blocks, qr_picture, qr_version, save_picture

__all__ = ["PictureTooDense", "check_version", "qr_blocks", "qr_picture", "qr_version", "save_picture"]
