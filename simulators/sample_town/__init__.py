"""A sample town, invented: where its feed and its list of drivers lie. See README.md. DESIGN §3."""

from pathlib import Path

FOLDER = Path(__file__).parent
FEED = FOLDER / "gtfs"
CREW_LIST = FOLDER / "crew.csv"
