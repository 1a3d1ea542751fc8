"""Certificates and keys that rules name, by file or Secret: read here, sent to the workers, shown nowhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from ..config.core import SecretSpec
from ..config.destinationrule import ClientTLSSettings, DestinationRuleSpec
from ..config.gateway import ServerTLSSettings
from ..proxy.certificates import AUTHORITY_SUFFIX, SYSTEM, Materials
from ..proxy.messages import SetMaterials
from ..registry.snapshot import Snapshot
from ..routing.clusters import credential_key
from .channel import memfd
from .logs import Log

log = Log("control")

#: A certificate bundle is no larger.
MAX_FILE = 4 * 1024 * 1024

Stamp = tuple[int, int, int]


class Wanted(NamedTuple):
    """What rules name: paths, and Secrets by their bare name (which namespace counts is the client's matter)."""

    paths: frozenset[str]
    secrets: frozenset[str]


def wanted_by(snapshot: Snapshot) -> Wanted:
    settings: list[ClientTLSSettings | ServerTLSSettings | None] = []
    for rule in snapshot.destination_rules.values():
        settings += client_settings(rule.spec)
    for gateway in snapshot.gateways.values():
        settings += [server.tls for server in gateway.spec.servers]
    paths: set[str] = set()
    secrets: set[str] = set()
    for tls in settings:
        if tls is not None:
            paths |= set(paths_in(tls))
            secrets |= {credential_key(name, "").rpartition("/")[2] for name in names_in(tls)}
    return Wanted(frozenset(paths), frozenset(secrets | {name + AUTHORITY_SUFFIX for name in secrets}))


def client_settings(rule: DestinationRuleSpec) -> Iterator[ClientTLSSettings | None]:
    policies = [rule.traffic_policy, *(subset.traffic_policy for subset in rule.subsets)]
    for policy in policies:
        if policy is not None:
            yield policy.tls
            yield from (settings.tls for settings in policy.port_level_settings)


def paths_in(tls: ClientTLSSettings | ServerTLSSettings) -> Iterator[str]:
    found = [tls.ca_certificates, tls.ca_crl, tls.private_key]
    if isinstance(tls, ClientTLSSettings):
        found.append(tls.client_certificate)
    else:
        found.append(tls.server_certificate)
        for pair in tls.tls_certificates:
            found += [pair.server_certificate, pair.private_key]
    yield from (path for path in found if path and path != SYSTEM)


def names_in(tls: ClientTLSSettings | ServerTLSSettings) -> Iterator[str]:
    found = [tls.credential_name]
    if isinstance(tls, ServerTLSSettings):
        found += [*tls.credential_names, tls.ca_cert_credential_name]
    yield from (name for name in found if name)


class MaterialSource:
    """Looks at the files again and again; `announce` is called when anything has changed. A file that is gone or
    cannot be read keeps the content that it had."""

    def __init__(self, announce: Callable[[SetMaterials, tuple[int]], None]) -> None:
        self.materials = Materials()
        self._announce = announce
        self._wanted = Wanted(frozenset(), frozenset())
        self._secrets: Mapping[str, SecretSpec] = {}
        self._stamps: dict[str, Stamp] = {}
        self._files: dict[str, bytes] = {}
        self._missing: set[str] = set()

    def want(self, snapshot: Snapshot, secrets: Mapping[str, SecretSpec]) -> None:
        """Have what this snapshot names from now on; announced before this returns."""
        self._wanted = wanted_by(snapshot)
        self._secrets = secrets
        self.scan()

    def scan(self) -> None:
        """Read what has changed. One stat per file where nothing has."""
        for path in self._wanted.paths:
            self._read(path)
        for path in self._files.keys() - self._wanted.paths:
            del self._files[path], self._stamps[path]
        names = self._wanted.secrets
        secrets = {key: spec.data for key, spec in self._secrets.items() if key.rpartition("/")[2] in names}
        materials = Materials(dict(self._files), secrets)
        if materials != self.materials:
            self.materials = materials
            for message, fds in self.replay():
                self._announce(message, fds)

    def replay(self) -> Iterator[tuple[SetMaterials, tuple[int]]]:
        """What a worker is told."""
        fd = memfd("nodemesh-materials", msgspec.msgpack.encode(self.materials))
        yield SetMaterials(), (fd,)
        os.close(fd)

    def _read(self, path: str) -> None:
        try:
            found = os.stat(path)
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if self._stamps.get(path) == stamp:
                return
            with open(path, "rb") as file:
                content = file.read(MAX_FILE)
        except OSError as error:
            if path not in self._missing:
                self._missing.add(path)
                log.error("certificate not read", file=path, why=error.strerror)
            return
        self._missing.discard(path)
        self._stamps[path] = stamp
        self._files[path] = content
