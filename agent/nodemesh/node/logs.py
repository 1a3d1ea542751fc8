"""The agent's own log: one line each on standard error, as text or as JSON."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import msgspec

from ..config.printable import printable


def moment(seconds: float) -> str:
    """A time in RFC 3339, UTC, with milliseconds."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds % 1 * 1000):03d}Z"


class TextLine(logging.Formatter):
    """`2026-11-30T03:08:00.123Z info    control: tables applied version=3`: when, how bad, which process, what
    happened, its particulars."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line = f"{moment(record.created)} {record.levelname.lower():<7} {self._process}: {record.getMessage()}"
        if record.exc_info:
            line += f"\n{self.formatException(record.exc_info)}"
        return line


class JsonLine(logging.Formatter):
    """The same as an object: `time`, `level`, `component`, `message`, and the particulars by their names."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": moment(record.created),
            "level": record.levelname.lower(),
            "component": self._process,
            "message": getattr(record, "said", None) or record.getMessage(),
        }
        for key, value in getattr(record, "particulars", {}).items():
            line.setdefault(key, value if isinstance(value, bool | int | float) else str(value))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def quoted(value: object) -> str:
    """A value as it stands behind its key, on the same line: in quotes where it has spaces."""
    text = printable(value)
    if text and not any(char in ' "' for char in text):
        return text
    escaped = text.replace('"', '\\"')
    return f'"{escaped}"'


class Log:
    """`log.info("pod enrolled", pod="default/a")` writes `… info    control: pod enrolled pod=default/a`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"nodemesh.{name}")

    def info(self, message: str, **fields: object) -> None:
        self._emit(logging.INFO, message, fields)

    def warning(self, message: str, **fields: object) -> None:
        self._emit(logging.WARNING, message, fields)

    def error(self, message: str, **fields: object) -> None:
        self._emit(logging.ERROR, message, fields)

    def exception(self, message: str, **fields: object) -> None:
        """An error of our own, with its traceback."""
        self._emit(logging.ERROR, message, fields, exc_info=True)

    def _emit(self, level: int, message: str, fields: dict[str, object], exc_info: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            extra = {"said": message, "particulars": fields}
            self._logger.log(level, "%s", self._text(message, fields), extra=extra, exc_info=exc_info)

    @staticmethod
    def _text(message: str, fields: dict[str, object]) -> str:
        return " ".join([printable(message), *(f"{key}={quoted(value)}" for key, value in fields.items())])


def is_ours(record: logging.LogRecord) -> bool:
    """Whether an error is one of the agent: what a client sent that is no HTTP is answered with 400, and no more."""
    error = record.exc_info[1] if record.exc_info else None
    return not (error is not None and type(error).__module__ == "aiohttp.http_exceptions")


def setup(process: str, *, json: bool = False) -> None:
    """Send this process' log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine(process) if json else TextLine(process))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("aiohttp").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").addFilter(is_ours)
    logging.getLogger("asyncio").setLevel(logging.ERROR)
