"""Certificates and keys that rules name, by file, Secret or ConfigMap: read here, sent to workers, shown nowhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ..config.core import CredentialSpec
from ..config.credential import described
from ..proxy.messages import SetMaterials
from ..proxy.tls.certificates import Certificates
from ..proxy.tls.expiry import first_end
from ..proxy.tls.materials import KEYS, Materials, pack
from .channel import memfd
from .credentials import Use
from .files import FileContent, FileReader, Folders
from .logs import Log

log = Log("control")


class MaterialFault(NamedTuple):
    """Why the newest form of what a rule names is not in force."""

    use: Use
    why: str


class Secrets(NamedTuple):
    """The Secrets (and ConfigMaps) at hand by their `credential_key`; `why_absent` is a sentence for one that is not
    there or not good, empty where it is good or nothing is known yet. A cluster is not asked for all of them
    (Use.withheld)."""

    specs: Mapping[str, CredentialSpec]
    why_absent: Callable[[str], str]
    of_cluster: bool = False


def only(specs: Mapping[str, CredentialSpec]) -> Secrets:
    """All Secrets there are."""
    return Secrets(specs, lambda key: "" if key in specs else f"there is no {described(key)}")


def useful(spec: CredentialSpec) -> dict[str, bytes]:
    """What TLS is made of; what else there may be is none of the workers' business."""
    return {
        name: content.encode() if isinstance(content, str) else content
        for name, content in spec.data.items()
        if name in KEYS
    }


class MaterialSource:
    """Looks at the files again and again; `announce` is called when anything has changed. A file or Secret that is gone
    or cannot be read keeps the content that it had, as Envoy keeps what it was given: a certificate that was deleted
    by mistake is no outage. What is to be served no more is taken out of the rule."""

    def __init__(self, announce: Callable[[SetMaterials, tuple[int]], None]) -> None:
        self.materials = Materials()
        self.faults: tuple[MaterialFault, ...] = ()
        self.uses: tuple[Use, ...] = ()
        self._announce = announce
        self._secrets = only({})
        self._certificates = Certificates()  # to know what the workers will find
        self._reader = FileReader()
        self._files: dict[str, FileContent] = {}
        self._unread: Mapping[str, str] = {}  # by path: why it is not read
        self._kept: dict[str, Mapping[str, bytes]] = {}
        self._told: set[MaterialFault] = set()

    def want(self, uses: Iterable[Use], secrets: Secrets) -> None:
        """Have what is used from now on; announced before this returns."""
        self.uses = tuple(uses)
        self.renew(secrets)

    def renew(self, secrets: Secrets) -> None:
        """Other Secrets are at hand."""
        self._secrets = secrets
        self.scan()

    def scan(self) -> None:
        """Read what has changed. One look per file where nothing has; what takes longer than a moment comes with a
        later scan."""
        wanted = places_of(self.uses)
        found = self._reader.look(wanted, self._files) if wanted else None
        if found is not None:
            self._unread = found.faults
            self._files = {path: file for path, file in {**self._files, **found.files}.items() if path in wanted}
        keys = {key for use in self.uses for key in (*use.secrets, *use.beside)}
        specs = self._secrets.specs
        self._kept = {key: useful(specs[key]) if key in specs else self._kept[key]
                      for key in keys if key in specs or key in self._kept}  # fmt: skip
        materials = Materials({path: file.content for path, file in self._files.items()}, self._kept)
        if materials != self.materials:
            self.materials = materials
            self._certificates.replace(materials)
            for message, fds in self.replay():
                self._announce(message, fds)
        self._judge()

    def end_of(self, use: Use) -> float | None:
        """When the first of the certificates that are used there ends, in seconds since the epoch."""
        texts = [self.materials.files.get(path, b"") for path in use.paths]
        for key in (*use.secrets, *use.beside):
            texts += self.materials.secrets.get(key, {}).values()
        return first_end(texts)

    def replay(self) -> Iterator[tuple[SetMaterials, tuple[int]]]:
        """What a worker is told."""
        fd = memfd("nodemesh-materials", pack(self.materials))
        yield SetMaterials(), (fd,)
        os.close(fd)

    def rows(self) -> list[dict[str, Any]]:
        """Each place in a rule that names certificates which this node's workloads use; nothing of what is in them."""
        faults = {fault.use: fault.why for fault in self.faults}
        return [
            {
                "used_by": str(use.holder),
                "field": use.path,
                "at": str(use.location),
                "secrets": list(use.secrets),
                "files": list(use.paths),
                "ends": self.end_of(use),
                "error": faults.get(use, ""),
            }
            for use in self.uses
        ]

    def _judge(self) -> None:
        """Find what is wrong and say it once. Files are replaced one after the other: what is wrong with them only
        until the next look is nothing to tell."""
        before = set(self.faults)
        self.faults = tuple(MaterialFault(use, why) for use in self.uses if (why := self._why_not(use)))
        now = set(self.faults)
        self._told &= now
        for fault in self.faults:
            if fault in before and fault not in self._told:
                self._told.add(fault)
                use = fault.use
                log.error("certificates not usable", at=use.location, field=use.path, of=use.holder, why=fault.why)

    def _why_not(self, use: Use) -> str:
        for key in use.secrets:
            absent = key not in self._secrets.specs
            withheld = use.withheld if absent and self._secrets.of_cluster else ""
            why = withheld or self._secrets.why_absent(key)
            if why:
                return f"{why}; what was read before serves on" if key in self._kept else why
            if absent:
                return ""  # nothing is known of it yet
        if not use.withheld and not all(
            key in self._secrets.specs or self._secrets.why_absent(key) for key in use.beside
        ):
            return ""  # nor of what may stand beside it
        for path in use.paths:
            if path in self._unread:
                why = f"the file {path} is not read: {self._unread[path]}"
                return f"{why}; what was read before serves on" if path in self._files else why
        return self._certificates.fault(use.tls, use.namespace)


def places_of(uses: Iterable[Use]) -> dict[str, Folders]:
    """The files that are named, with the folders that each may lie in: what the operator's own files name may lie
    anywhere."""
    places: dict[str, Folders] = {}
    for use in uses:
        for path in use.paths:
            before = places.get(path, ())
            free = use.folders is None or before is None
            places[path] = None if free else tuple(dict.fromkeys((*(before or ()), *(use.folders or ()))))
    return places
