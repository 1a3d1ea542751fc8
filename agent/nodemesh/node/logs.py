"""The agent's own log: one line each on standard error, `level message key=value …`."""

from __future__ import annotations

import logging
import sys


class _Line(logging.Formatter):
    """`info  control: tables applied version=3`: the level, the process, what happened, its particulars."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line = f"{record.levelname.lower():<7} {self._process}: {record.getMessage()}"
        if record.exc_info:
            line += f"\n{self.formatException(record.exc_info)}"
        return line


def quoted(value: object) -> str:
    """A value as it stands behind its key: in quotes where it has spaces."""
    text = str(value)
    return f'"{text}"' if not text or any(char.isspace() or char == '"' for char in text) else text


class Log:
    """`log.info("pod enrolled", pod="default/a")` writes `info    control: pod enrolled pod=default/a`."""

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
        self._logger.error(self._text(message, fields), exc_info=True)

    def _emit(self, level: int, message: str, fields: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", self._text(message, fields))

    @staticmethod
    def _text(message: str, fields: dict[str, object]) -> str:
        return " ".join([message, *(f"{key}={quoted(value)}" for key, value in fields.items())])


def setup(process: str) -> None:
    """Send this process' log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(process))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("aiohttp").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.ERROR)
