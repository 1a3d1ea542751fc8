"""A worker's OpenSSL contexts, made of files and Secrets and kept until these change.

Nothing is read here: control reads files and Secrets and sends their contents. A pair that does not fit together (one
half is replaced already, the other is not yet) leaves the context before it in use."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Final

from mypy_extensions import mypyc_attr

from ...bounded import Bounded
from ...config.credential import credential_key, described
from ...config.gateway import ServerTLSMode, ServerTLSSettings
from ...config.reach import SYSTEM
from ...routing.decision import UpstreamTls
from .context import ContextSource, client_context, reason_of, server_context
from .materials import AUTHORITY, AUTHORITY_SUFFIX, REVOKED, Materials, first_of, pair_of
from .terms import MAX_SESSIONS, ClientTerms, ServerTerms
from .transport import TlsError

#: Contexts that are kept: more than that only configurations of the past have made.
MAX_CONTEXTS: Final = 1024


class CachedContext:
    """A context with what it was made of."""

    __slots__ = ("source", "context", "error", "sessions", "seen")

    def __init__(self) -> None:
        self.source: ContextSource | None = None
        self.context: ssl.SSLContext | None = None
        self.error = ""  # why the newest source gave no context
        self.sessions: Bounded[str, ssl.SSLSession] = Bounded(MAX_SESSIONS)
        self.seen: Materials | None = None  # the materials that were looked at last

    def update(self, find: Callable[[], ContextSource], make: Callable[[ContextSource], ssl.SSLContext]) -> None:
        """Make the context again if its source has changed; one that cannot be used changes nothing."""
        try:
            source = find()
            if source != self.source:
                self.context = make(source)
                self.source = source
                self.sessions = Bounded(MAX_SESSIONS)
            self.error = ""
        except (OSError, ValueError) as error:  # OpenSSL's errors are OSErrors
            self.error = reason_of(error)


@mypyc_attr(allow_interpreted_subclasses=True)
class Certificates:
    """A worker's contexts, made on first use."""

    __slots__ = ("materials", "_kept")

    def __init__(self) -> None:
        self.materials = Materials()
        #: By settings and what else a context depends on.
        self._kept: Bounded[tuple[object, ...], CachedContext] = Bounded(MAX_CONTEXTS)

    def replace(self, materials: Materials) -> None:
        """New contents. Connections that stand stay as they are; handshakes from now on use the new ones."""
        self.materials = materials

    def client_terms(self, tls: UpstreamTls, name: str, alpn: str) -> ClientTerms:
        """To originate TLS. `name` is the server's where the rule has no SNI: then the certificate must be for it,
        unless the rule lists names; `alpn` is the protocol to be spoken, as ALPN has it (empty: none). Raises
        TlsError."""
        kept = self._client(tls, alpn)
        if kept.context is None:
            raise TlsError(kept.error)
        allowed = tls.subject_alt_names or (() if tls.sni else (name,))
        return ClientTerms(kept.context, tls.sni or name, () if tls.insecure_skip_verify else allowed, kept.sessions)

    def server_terms(self, tls: ServerTLSSettings, namespace: str) -> ServerTerms:
        """To end TLS at a gateway's server whose Secrets are in `namespace`. Raises TlsError."""
        kept = self._server(tls, namespace)
        if kept.context is None:
            raise TlsError(kept.error)
        return ServerTerms(kept.context, tls.subject_alt_names)

    def fault(self, tls: UpstreamTls | ServerTLSSettings, namespace: str) -> str:
        """Why the newest contents of what these settings name cannot be used; empty where they can."""
        kept = self._client(tls, "") if isinstance(tls, UpstreamTls) else self._server(tls, namespace)
        return kept.error

    def _client(self, tls: UpstreamTls, alpn: str) -> CachedContext:
        return self._keep(
            (tls, alpn), lambda: self._client_source(tls), lambda source: client_context(tls, source, alpn)
        )

    def _server(self, tls: ServerTLSSettings, namespace: str) -> CachedContext:
        return self._keep(
            (tls, namespace),
            lambda: self._server_source(tls, namespace),
            lambda source: server_context(tls, source),
        )

    def _keep(
        self,
        key: tuple[object, ...],
        find: Callable[[], ContextSource],
        make: Callable[[ContextSource], ssl.SSLContext],
    ) -> CachedContext:
        kept = self._kept.found.get(key)
        if kept is None:
            kept = self._kept.keep(key, CachedContext())
        if kept.seen is not self.materials:
            kept.seen = self.materials
            kept.update(find, make)
        return kept

    # where contents are

    def _client_source(self, tls: UpstreamTls) -> ContextSource:
        if tls.pair:
            trusted = self._secret_source((tls.credential,), "", False) if tls.credential else ContextSource()
            return trusted._replace(pairs=(pair_of(self._secret(tls.pair)),))
        if tls.credential:
            return self._secret_source((tls.credential,), "", tls.mode == "MUTUAL")
        pairs: tuple[tuple[bytes, bytes], ...] = ()
        if tls.mode == "MUTUAL":
            pairs = ((self._file(tls.client_certificate), self._file(tls.private_key)),)
        own = tls.ca_certificates not in ("", SYSTEM)
        return ContextSource(
            pairs,
            self._file(tls.ca_certificates) if own else b"",
            self._file(tls.ca_crl) if tls.ca_crl else b"",
        )

    def _server_source(self, tls: ServerTLSSettings, namespace: str) -> ContextSource:
        if tls.mode is ServerTLSMode.ISTIO_MUTUAL:
            raise ValueError("ISTIO_MUTUAL is not supported, for nodemesh issues no identities: use MUTUAL")
        names = tls.credential_names or ((tls.credential_name,) if tls.credential_name else ())
        other = tls.ca_cert_credential_name if tls.mode is not ServerTLSMode.SIMPLE else None
        authority = credential_key(other, namespace) if other else ""
        if names:
            return self._secret_source(tuple(credential_key(name, namespace) for name in names), authority, True)
        files = [(entry.server_certificate or "", entry.private_key or "") for entry in tls.tls_certificates]
        files = files or [(tls.server_certificate or "", tls.private_key or "")]
        pairs = tuple((self._file(certificate), self._file(key)) for certificate, key in files)
        chosen = self._secret(authority) if authority else {}
        return ContextSource(
            pairs,
            first_of(chosen, AUTHORITY) or (self._file(tls.ca_certificates) if tls.ca_certificates else b""),
            first_of(chosen, REVOKED) or (self._file(tls.ca_crl) if tls.ca_crl else b""),
        )

    def _secret_source(self, keys: tuple[str, ...], authority: str, paired: bool) -> ContextSource:
        held = self.materials.secrets
        beside = held.get(keys[0] + AUTHORITY_SUFFIX, {})
        # Where nothing but the authority is asked for, the Secret that has only that is enough.
        secrets = [self._secret(key) if paired or not beside else held.get(key, {}) for key in keys]
        pairs = tuple(map(pair_of, secrets)) if paired else ()
        chosen = self._secret(authority) if authority else {}
        found = first_of(chosen, AUTHORITY) or first_of(beside, AUTHORITY) or first_of(secrets[0], AUTHORITY)
        revoked = first_of(chosen, REVOKED) or first_of(beside, REVOKED) or first_of(secrets[0], REVOKED)
        if not paired and not found:
            raise ValueError(f"{described(keys[0])} has no authority: ca.crt, or cacert")
        return ContextSource(pairs, found, revoked)

    def _secret(self, key: str) -> Mapping[str, bytes]:
        found = self.materials.secrets.get(key)
        if found is None:
            raise ValueError(f"there is no {described(key)}")
        return found

    def _file(self, path: str) -> bytes:
        found = self.materials.files.get(path)
        if found is None:
            raise ValueError(f"the file {path or '(none)'} cannot be read")
        return found
