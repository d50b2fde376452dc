"""A receipt printer in a process of its own: a TCP port or a serial name, sheets as PNG, troubles by line.

python -m simulators.printer --folder build/paper --port 9100 [--paper 58] [--drawer-pin 5] [--drawer-open low]
python -m simulators.printer --folder build/paper --link /tmp/printer0
python -m simulators.printer --samples docs/receipts

fault no_paper | fault silent | well [no_paper] | unplug | plug | off_and_on | close_drawer | state | quit (one a line)
"""

import argparse
import sys
from pathlib import Path

from simulators.obeying import obey_standard_input
from simulators.printer.device import Fault, SimulatedPrinter
from simulators.printer.lines import NetworkPrinter, SerialPrinter
from simulators.printer.samples import draw_samples


def obey(desk: NetworkPrinter | SerialPrinter, command: str, folder: Path) -> str:
    """Carry out one line."""
    try:
        match command.split():
            case ["fault", *names] if names:
                desk.fault(*(Fault(name) for name in names))
            case ["well", *names]:
                desk.well(*(Fault(name) for name in names))
            case ["unplug"]:
                desk.unplug()
            case ["plug"]:
                desk.plug()
            case ["off_and_on"]:
                desk.switch_off_and_on()
            case ["close_drawer"]:
                desk.printer.close_drawer()
            case ["state"]:
                return _state(desk.printer)
            case ["save"]:
                with desk.lock:
                    return "ok " + " ".join(path.name for path in desk.printer.save(folder))
            case _:
                return f"error unknown command {command.strip()!r}"
    except ValueError as error:
        return f"error {error}"
    return "ok"


def _state(printer: SimulatedPrinter) -> str:
    faults = ",".join(sorted(fault.value for fault in printer.faults)) or "well"
    drawer = "open" if printer.is_drawer_open else "shut"
    return (
        f"ok {faults} sheets={printer.sheets_cut} drawer={drawer} pulses={len(printer.pulses)} "
        f"unknown={printer.unknown_bytes}"
    )


def main() -> int:
    """Until `quit` or the end of its input."""
    parser = argparse.ArgumentParser(prog="simulators.printer")
    parser.add_argument("--folder", type=Path, default=Path("build/paper"))
    parser.add_argument("--paper", type=int, choices=(58, 80), default=80)
    parser.add_argument("--drawer-pin", type=int, choices=(2, 5), default=2)
    parser.add_argument("--drawer-open", choices=("high", "low"), default="high")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int)
    where.add_argument("--link", type=Path)
    where.add_argument("--samples", type=Path)
    asked = parser.parse_args()
    if asked.samples is not None:
        print(*draw_samples(asked.samples, asked.paper), sep="\n")
        return 0
    is_high = asked.drawer_open == "high"
    printer = SimulatedPrinter(asked.paper, drawer_pin=asked.drawer_pin, is_high_when_open=is_high)
    with NetworkPrinter(printer, asked.port) if asked.link is None else SerialPrinter(printer, asked.link) as desk:
        print(desk.address, flush=True)
        obey_standard_input(lambda line: obey(desk, line, asked.folder))
        print(obey(desk, "save", asked.folder), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
