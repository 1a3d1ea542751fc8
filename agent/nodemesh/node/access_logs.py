"""The access logs of a worker: their files and formats, by the command line, MeshConfig and Telemetry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from ..config.commands import FormatError
from ..config.providers import ENVOY, EnvoyFileAccessLog
from ..routing.tables import Tables, TelemetryEntry
from ..telemetry.access_log import AccessLog, open_log
from ..telemetry.formatting import LogFormatter
from ..telemetry.observer import wanted_by
from ..telemetry.operators import ShownFields
from .logs import Log

log = Log("worker")

#: MeshConfig's accessLogEncoding for JSON.
JSON = "JSON"

#: The mesh's own log.
OWN = ""

STDOUT = "/dev/stdout"


class LogSettings(NamedTuple):
    """One log."""

    path: str
    format: str
    json: bool


def settings_of(given: str | None, tables: Tables) -> dict[str, LogSettings]:
    """The logs by their providers; `given` is the command line's file, which counts before MeshConfig's."""
    mesh = tables.mesh
    path = given or mesh.access_log_file or ""
    own = LogSettings(path, mesh.access_log_format or "", mesh.access_log_encoding == JSON)
    found = {OWN: own} if path else {}
    files = {
        provider.name: provider.envoy_file_access_log
        for provider in mesh.extension_providers
        if provider.envoy_file_access_log is not None
    }
    for name in _named(tables):
        file = files.get(name)
        if file is not None:
            found[name] = _of_file(file)
        elif name == ENVOY:
            found[name] = own._replace(path=path or STDOUT)
    return found


def _named(tables: Tables) -> Iterator[str]:
    """The providers that Telemetry, or the mesh in its stead, may mean."""
    yield from tables.mesh.default_providers.access_logging
    for telemetry in tables.telemetries:
        for entry in telemetry.spec.access_logging:
            yield from [provider.name for provider in entry.providers if provider.name] or (ENVOY,)


def _of_file(file: EnvoyFileAccessLog) -> LogSettings:
    form = file.log_format
    if form is None:
        return LogSettings(file.path or STDOUT, "", False)
    return LogSettings(file.path or STDOUT, form.as_json if form.labels else form.text or "", bool(form.labels))


class AccessLogs:
    """The open logs; providers that say the same share one."""

    def __init__(self) -> None:
        self.by_provider: dict[str, AccessLog] = {}
        self._settings: dict[str, LogSettings] = {}
        self._shown = ShownFields()  # by their formats
        self._telemetries: tuple[TelemetryEntry, ...] = ()
        self._asked = ShownFields()  # by the expressions of these
        self._fds: list[int] = []

    def wanted(self, tables: Tables) -> ShownFields | None:
        """The fields that records are to hold for these logs, and for what Telemetry asks of them."""
        if tables.telemetries is not self._telemetries:  # other changes are many, and there may be many expressions
            self._telemetries = tables.telemetries
            self._asked = ShownFields()
            wanted_by(tables, self._asked)
        wanted = ShownFields()
        wanted.request = self._asked.request | self._shown.request
        wanted.response = self._asked.response | self._shown.response
        wanted.trailers = self._asked.trailers | self._shown.trailers
        return wanted if wanted.request or wanted.response or wanted.trailers else None

    def open(self, settings: dict[str, LogSettings], *, again: bool = False) -> None:
        """Have these logs, and no others; what they hold back is to be flushed before. `again` where their files may
        have been moved away."""
        if settings == self._settings and not again:
            return
        self._settings = settings
        for fd in self._fds:
            if fd > 2:
                os.close(fd)
        self._fds.clear()
        self.by_provider.clear()
        shown = self._shown = ShownFields()
        opened: dict[LogSettings, AccessLog | None] = {}
        for provider, each in settings.items():
            if each not in opened:
                opened[each] = self._open(each, shown)
            found = opened[each]
            if found is not None:
                self.by_provider[provider] = found

    def _open(self, settings: LogSettings, shown: ShownFields) -> AccessLog | None:
        try:
            formatter = LogFormatter(settings.format, json=settings.json)
        except FormatError as error:
            log.error("access log keeps to the default format", error=error)
            formatter = LogFormatter(json=settings.json)
        try:
            fd = open_log(settings.path)
        except OSError as error:
            log.error("no access log", file=settings.path, error=error.strerror)
            return None
        self._fds.append(fd)
        shown.request |= formatter.wanted.request
        shown.response |= formatter.wanted.response
        shown.trailers |= formatter.wanted.trailers
        return AccessLog(fd, formatter)
