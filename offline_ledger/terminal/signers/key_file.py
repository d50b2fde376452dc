"""The signer of a terminal without better hardware: a key file. A TPM or secure element implements the same port.

DESIGN §3, §4. The work is `offline_ledger.key_files`, which the city's keys share.
"""

from offline_ledger.key_files import KeySigner, make_key_file, open_key_file

__all__ = ["KeySigner", "make_key_file", "open_key_file"]
