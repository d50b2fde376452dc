"""`kgo-pos`: the shop terminal. DESIGN §3.

Everything is imported inside `main`, with the collector of garbage at rest: nothing that a start loads is garbage, and
looking for some took a tenth of the time until ready (decision 0050).
"""

import gc
import sys


def main() -> int:
    """Entry point. Returns the exit code."""
    gc.disable()
    from pos_app.shop import run

    gc.freeze()
    gc.enable()
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
