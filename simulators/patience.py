"""How long something may take before it counts as stuck: longer by one factor where the processor is an emulated one.
DESIGN §11, decision 0222.

The factor is KGO_PATIENCE, which `.ci/arm64.sh` sets; without it, it is 1. Never for what must happen within a time.
"""

import os

PATIENCE = float(os.environ.get("KGO_PATIENCE", "1"))


def patient(wait_s: float) -> float:
    """As long as it takes here."""
    return wait_s * PATIENCE
