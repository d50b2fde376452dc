"""What the hands at a till do before a new customer."""

from simulators.demo.desk import Desk


def clear_till(desk: Desk) -> None:
    """No sale is open; whatever light stands goes by itself meanwhile."""
    mark = desk.program.mark()
    desk.program.tell("cancel")
    desk.program.wait_for(lambda said: "light" in said or "refusal" in said, mark, "an answer to cancel")
