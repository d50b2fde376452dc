"""Seeded texts that look like ours to a scanner: prefix and Base45 alphabet, no meaning."""

import random

BASE45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
PRESENTMENT_CHARS = 477  # allowance + presentment, version 13-M


def sample_text(rng: random.Random, chars: int = PRESENTMENT_CHARS) -> str:
    """`chars` characters that begin like a presentment and are no valid one."""
    return "KGO1P:" + "".join(rng.choice(BASE45) for _ in range(chars - 6))
