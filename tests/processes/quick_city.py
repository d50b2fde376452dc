"""A town's city whose commands find the program loaded, copied from one that was founded a moment ago.

Its service is started as ever. No test that has one asks how a city is founded or how its commands start.
"""

from simulators.demo.city import CITY, CityProgram
from simulators.demo.processes import ToolFailed
from tests.city_service.desk import copy_founded, run


class QuickCity(CityProgram):
    """For `Town`."""

    def init(self) -> None:
        """With its sample tariff, campaign, shops and bus operator."""
        copy_founded(self.folder, "--city", CITY, "--port", "0")
        text = self.settings.read_text(encoding="utf-8")
        assert "\nport = 0\n" in text
        self.settings.write_text(text.replace("\nport = 0\n", f"\nport = {self.port}\n"), encoding="utf-8")

    def ask(self, *words: str, may_fail: bool = False) -> tuple[int, str]:
        """One command; exit code and what it printed."""
        done = run("--settings", str(self.settings), *words)
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"$ kgo-city {' '.join(words)}\n{done.stdout}{done.stderr}[{done.returncode}]\n")
        if done.returncode and not may_fail:
            raise ToolFailed(f"kgo-city {words[0]} ended with {done.returncode}: {done.stderr.strip()}")
        return done.returncode, done.stdout
