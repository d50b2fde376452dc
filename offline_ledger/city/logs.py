"""Structured logs: one JSON object per line on stderr. DESIGN §3. Never logs a body, a key or a wallet's name."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import cast


class JsonLines(logging.Formatter):
    """`time`, `level`, `logger`, `message`, then the record's `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        said.update(cast(dict[str, object], getattr(record, "fields", {})))
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def start_logging(level: int = logging.INFO) -> None:
    """Everything to stderr; called once, by the composition root."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
