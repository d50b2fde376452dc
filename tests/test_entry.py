"""Every program ends without a traceback when Ctrl-C comes while it still loads. The real programs."""

import fcntl
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from offline_ledger.entry import EXIT_INTERRUPTED
from tests.test_demo import heeds_interrupts

ROOT = Path(__file__).parents[1]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
PIPE_BYTES = 4_096
"""So little is ahead of who reads: the program cannot be done when the signal is sent."""
LOADS_OF = {"kgo-pos": b"pos_app.", "kgo-bus": b"bus_validator.", "kgo-city": b"offline_ledger.city.",
            "kgo-flash": b"firmware.flash.", "kgo-sim": b"simulators."}  # fmt: skip


@pytest.mark.parametrize("program", SCRIPTS)
def test_interrupted_while_it_loads_it_says_nothing(program: str) -> None:
    module, _, function = SCRIPTS[program].partition(":")
    begin = f"import sys; from {module} import {function}; sys.exit({function}())"
    words = (sys.executable, "-X", "importtime", "-c", begin, "--help")
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, preexec_fn=heeds_interrupts
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        loaded = b""
        while LOADS_OF[program] not in loaded:  # one line for each module that is loaded
            more = os.read(process.stderr.fileno(), 256)
            assert more, f"{program} ended unasked: {loaded.decode()[-2_000:]}"
            loaded += more
        process.send_signal(signal.SIGINT)
        said = (
            process.stdout.read(),
            b"\n".join(line for line in process.stderr.read().splitlines()[1:] if b"import time:" not in line),
        )
        assert (process.wait(), *said) == (EXIT_INTERRUPTED, b"", b"")


def test_no_file_gets_the_place_of_a_closed_input() -> None:
    """`kgo-flash test head PORT <&-` heard its keyboard in whatever file was opened first, and waited for answers."""
    program = (
        "import os; os.close(0); from offline_ledger.texts.command_line import speak; speak('th');"
        "print(open('/dev/zero', 'rb').fileno() > 2, os.read(0, 9))"
    )
    done = subprocess.run((sys.executable, "-c", program), cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True b''\n"
