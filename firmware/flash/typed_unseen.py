"""What a person types unseen: passphrases, passwords. Asks only at a terminal; never reads a pipe. DESIGN §3."""

import warnings
from getpass import GetPassWarning, getpass


def typed_unseen(prompt: str) -> str:
    """Raises EOFError: there is no terminal to hide it on, or nothing was typed; UnicodeDecodeError: it is no text."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", GetPassWarning)  # comes before anything is written or read
        try:
            return getpass(prompt)
        except GetPassWarning as error:
            raise EOFError("no terminal") from error
