"""One JSON object per line on standard output, which is what CloudWatch Logs Insights reads.

Only counts, sizes, names and times are ever logged: no scores, faces or words of a video.
"""

import json
import logging
import sys
from datetime import UTC, datetime

FIELDS = "fields"
"""Key of `extra` that holds a record's own fields: `log.info(text, extra={FIELDS: {...}})`."""


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def __init__(self, analyzer: str) -> None:
        super().__init__()
        self._analyzer = analyzer

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "analyzer": self._analyzer,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logging(analyzer: str, level: str) -> None:
    """Send every logger of the process through `JsonFormatter`."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(analyzer))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # faster-whisper logs per request at INFO, and from DEBUG on also the text that it heard.
    logging.getLogger("faster_whisper").setLevel(logging.WARNING)
