"""The control language of simulated devices: one command a line, each answered by `ok …` or `error …`. DESIGN §11."""

import sys
from collections.abc import Callable, Mapping

Command = Callable[[str], str | None]
"""Takes what stands behind its word; may have something to say. Raises OSError, ValueError."""


def obey(commands: Mapping[str, Command], line: str) -> str:
    """Carry out one line."""
    word, _, rest = line.strip().partition(" ")
    command = commands.get(word)
    if command is None:
        return f"error unknown command {word!r}"
    try:
        said = command(rest)
    except (OSError, ValueError) as error:
        return f"error {error}"
    return "ok" if said is None else f"ok {said}"


def obey_standard_input(obeyed: Callable[[str], str]) -> None:
    """Until `quit` or its end."""
    for line in sys.stdin:
        if line.strip() == "quit":
            return
        print(obeyed(line), flush=True)
