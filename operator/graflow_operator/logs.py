"""The operator's own log: one line per record, for people or for machines."""

import json
import logging
import sys
from datetime import UTC, datetime

QUIET = ("kopf", "aiohttp.access", "botocore", "boto3", "urllib3", "asyncio")
"""Libraries whose every event is not worth a line."""

SILENT = ("kopf._core.reactor.running",)
"""Says at each start that signals are not for it, which is as it should be."""


class JsonLines(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON, in the order in which people read."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": moment,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextLines(logging.Formatter):
    """One line per record, whatever a caller has put into it, and tracebacks below."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line."""
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")


def set_up(log_format: str, level: str) -> None:
    """Send every log record of this process to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    text = TextLines("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonLines() if log_format == "json" else text)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.ERROR)
