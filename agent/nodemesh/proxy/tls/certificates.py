"""Certificates: OpenSSL contexts made of files and Secrets, kept until these change, and the checks of peers' names.

Nothing is read here: control reads files and Secrets and sends their contents. A pair that does not fit together (one
half is replaced already, the other is not yet) leaves the context before it in use."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

import msgspec

from ...config.credential import credential_key, described
from ...config.gateway import ServerTLSMode, ServerTLSSettings, TLSProtocol
from ...config.reach import SYSTEM
from ...routing.decision import UpstreamTls
from .transport import Terms, TlsError

#: Keys of a Secret in the order in which Istio looks: its generic ones, then those of `kubernetes.io/tls` with what
#: cert-manager writes beside them. Of a pair both halves count, or neither.
PAIRS: Final = (("cert", "key"), ("tls.crt", "tls.key"))
AUTHORITY: Final = ("cacert", "ca.crt")
REVOKED: Final = ("crl", "ca.crl")
KEYS: Final = frozenset((*PAIRS[0], *PAIRS[1], *AUTHORITY, *REVOKED))

#: A Secret beside another one that has only the authority (Istio's Gateway, credentialName).
AUTHORITY_SUFFIX: Final = "-cacert"

VERSIONS: Final[dict[TLSProtocol, ssl.TLSVersion]] = {
    TLSProtocol.TLSV1_0: ssl.TLSVersion.TLSv1,
    TLSProtocol.TLSV1_1: ssl.TLSVersion.TLSv1_1,
    TLSProtocol.TLSV1_2: ssl.TLSVersion.TLSv1_2,
    TLSProtocol.TLSV1_3: ssl.TLSVersion.TLSv1_3,
}

#: Contexts that are kept: more than that only configurations of the past have made.
MAX_CONTEXTS: Final = 1024

#: Sessions kept for resumption, per context.
MAX_SESSIONS: Final = 256


class Materials(msgspec.Struct, frozen=True):
    """Contents of the files by path, and of the Secrets and ConfigMaps by their `credential_key`. It has no readable
    form, so that no log shows a key."""

    files: Mapping[str, bytes] = {}
    secrets: Mapping[str, Mapping[str, bytes]] = {}

    def __repr__(self) -> str:
        return f"<Materials of {len(self.files)} files and {len(self.secrets)} Secrets>"


class _Packed(msgspec.Struct, frozen=True):
    """Materials on their way: what several paths lead to is there once."""

    files: Mapping[str, int]
    contents: tuple[bytes, ...]
    secrets: Mapping[str, Mapping[str, bytes]]


def pack(materials: Materials) -> bytes:
    numbers: dict[bytes, int] = {}
    files = {path: numbers.setdefault(content, len(numbers)) for path, content in materials.files.items()}
    return msgspec.msgpack.encode(_Packed(files, tuple(numbers), materials.secrets))


def unpack(data: bytes) -> Materials:
    """Raises msgspec.DecodeError."""
    packed = msgspec.msgpack.decode(data, type=_Packed)
    return Materials({path: packed.contents[number] for path, number in packed.files.items()}, packed.secrets)


class Source(NamedTuple):
    """What one context is made of; empty parts are absent."""

    pairs: tuple[tuple[bytes, bytes], ...] = ()  # certificate chain, private key
    authority: bytes = b""
    revoked: bytes = b""


class Kept:
    """A context with what it was made of."""

    __slots__ = ("source", "context", "error", "sessions")

    def __init__(self) -> None:
        self.source: Source | None = None
        self.context: ssl.SSLContext | None = None
        self.error = ""  # why the newest source gave no context
        self.sessions: dict[str, ssl.SSLSession] = {}

    def update(self, find: Callable[[], Source], make: Callable[[Source], ssl.SSLContext]) -> None:
        """Make the context anew if its source has changed; one that cannot be used changes nothing."""
        try:
            source = find()
            if source != self.source:
                self.context = make(source)
                self.source = source
                self.sessions = {}
            self.error = ""
        except (OSError, ValueError) as error:  # OpenSSL's errors are OSErrors
            self.error = reason_of(error)


class Certificates:
    """A worker's contexts, made on first use."""

    __slots__ = ("materials", "_kept", "_fresh")

    def __init__(self) -> None:
        self.materials = Materials()
        self._kept: dict[tuple[object, ...], Kept] = {}  # by settings and what else a context depends on
        self._fresh: set[Kept] = set()  # looked at since the materials changed

    def replace(self, materials: Materials) -> None:
        """New contents. Connections that stand stay as they are; handshakes from now on use the new ones."""
        self.materials = materials
        self._fresh.clear()

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

    def _client(self, tls: UpstreamTls, alpn: str) -> Kept:
        return self._keep(
            (tls, alpn), lambda: self._client_source(tls), lambda source: client_context(tls, source, alpn)
        )

    def _server(self, tls: ServerTLSSettings, namespace: str) -> Kept:
        return self._keep(
            (tls, namespace),
            lambda: self._server_source(tls, namespace),
            lambda source: server_context(tls, source),
        )

    def _keep(
        self, key: tuple[object, ...], find: Callable[[], Source], make: Callable[[Source], ssl.SSLContext]
    ) -> Kept:
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= MAX_CONTEXTS:
                self._kept.clear()
                self._fresh.clear()
            kept = self._kept[key] = Kept()
        if kept not in self._fresh:
            self._fresh.add(kept)
            kept.update(find, make)
        return kept

    # where contents are

    def _client_source(self, tls: UpstreamTls) -> Source:
        if tls.credential:
            return self._secret_source((tls.credential,), "", tls.mode == "MUTUAL")
        pairs: tuple[tuple[bytes, bytes], ...] = ()
        if tls.mode == "MUTUAL":
            pairs = ((self._file(tls.client_certificate), self._file(tls.private_key)),)
        own = tls.ca_certificates not in ("", SYSTEM)
        return Source(
            pairs,
            self._file(tls.ca_certificates) if own else b"",
            self._file(tls.ca_crl) if tls.ca_crl else b"",
        )

    def _server_source(self, tls: ServerTLSSettings, namespace: str) -> Source:
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
        return Source(
            pairs,
            first_of(chosen, AUTHORITY) or (self._file(tls.ca_certificates) if tls.ca_certificates else b""),
            first_of(chosen, REVOKED) or (self._file(tls.ca_crl) if tls.ca_crl else b""),
        )

    def _secret_source(self, keys: tuple[str, ...], authority: str, paired: bool) -> Source:
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
        return Source(pairs, found, revoked)

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


class ClientTerms(Terms):
    """To call a server; the certificate must be for one of the `allowed` names, if there are any."""

    __slots__ = ("_context", "_name", "_allowed", "_sessions")

    def __init__(
        self, context: ssl.SSLContext, name: str, allowed: tuple[str, ...], sessions: dict[str, ssl.SSLSession]
    ) -> None:
        self._context = context
        self._name = name
        self._allowed = allowed
        self._sessions = sessions

    def begin(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        name = self._name or None
        return self._context.wrap_bio(incoming, outgoing, False, name, self._sessions.get(self._name))

    def objection(self, connection: ssl.SSLObject) -> str:
        if not self._allowed:
            return ""
        names = names_in(connection.getpeercert() or {})
        if any(is_for(names, name) for name in self._allowed):
            return ""
        known = ", ".join(value for _, value in names) or "no name"
        return f"the certificate is for {known}, not for {' or '.join(self._allowed)}"

    def remember(self, connection: ssl.SSLObject) -> None:
        session = connection.session
        if session is not None and session.has_ticket:
            if len(self._sessions) >= MAX_SESSIONS:
                self._sessions.clear()
            self._sessions[self._name] = session


class ServerTerms(Terms):
    """To answer clients; where a client has a certificate, it must be for one of the `allowed` names, if any."""

    __slots__ = ("_context", "_allowed")

    def __init__(self, context: ssl.SSLContext, allowed: tuple[str, ...]) -> None:
        self._context = context
        self._allowed = allowed

    def begin(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        return self._context.wrap_bio(incoming, outgoing, True)

    def objection(self, connection: ssl.SSLObject) -> str:
        certificate = connection.getpeercert() if self._allowed else None
        if not certificate:
            return ""
        names = names_in(certificate)
        return "" if any(is_for(names, name) for name in self._allowed) else "the client's certificate has another name"


# contexts


def client_context(tls: UpstreamTls, source: Source, alpn: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # `ClientTerms.objection` checks names, as the rule has them
    if tls.insecure_skip_verify:
        context.verify_mode = ssl.CERT_NONE
    elif source.authority:
        trust(context, source)
    else:
        context.load_default_certs()
    if alpn:
        context.set_alpn_protocols([alpn])
    load_pairs(context, source)
    return context


def server_context(tls: ServerTLSSettings, source: Source) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION
    lowest = VERSIONS.get(tls.min_protocol_version or TLSProtocol.TLS_AUTO, ssl.TLSVersion.TLSv1_2)
    context.minimum_version = lowest
    context.maximum_version = VERSIONS.get(tls.max_protocol_version or TLSProtocol.TLS_AUTO, ssl.TLSVersion.TLSv1_3)
    ciphers = [name for name in tls.cipher_suites if not name.startswith("TLS_")]  # those of TLS 1.3 are fixed
    if ciphers:
        old = lowest < ssl.TLSVersion.TLSv1_2
        context.set_ciphers(":".join(ciphers) + (":@SECLEVEL=0" if old else ""))
    context.set_alpn_protocols(["h2", "http/1.1"])
    if tls.mode in (ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL):
        if not source.authority:
            raise ValueError(f"{tls.mode} needs the clients' authority")
        trust(context, source)
        context.verify_mode = ssl.CERT_REQUIRED if tls.mode is ServerTLSMode.MUTUAL else ssl.CERT_OPTIONAL
    load_pairs(context, source)
    return context


def trust(context: ssl.SSLContext, source: Source) -> None:
    context.load_verify_locations(cadata=source.authority.decode())
    if source.revoked:
        with_file(source.revoked, lambda path: context.load_verify_locations(cafile=path))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def load_pairs(context: ssl.SSLContext, source: Source) -> None:
    for certificate, key in source.pairs:
        if not certificate or not key:
            raise ValueError("certificate or key is missing: a Secret has tls.crt and tls.key, or cert and key")
        with_file(
            certificate + b"\n" + key,
            lambda path: context.load_cert_chain(path, password=no_password),
        )


def pair_fault(certificate: bytes, key: bytes) -> str:
    """Why the two are no certificate and its key; empty where they are."""
    try:
        load_pairs(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), Source(((certificate, key),), b"", b""))
    except (OSError, ValueError) as error:
        return f"certificate and key cannot be used: {error}"
    return ""


def no_password() -> bytes:
    """An encrypted key: without this, OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted")


def with_file(content: bytes, use: Callable[[str], None]) -> None:
    """OpenSSL's loaders take paths alone: lend them one to memory, so that no key touches a disk."""
    fd = os.memfd_create("nodemesh-certificate", os.MFD_CLOEXEC)
    try:
        os.write(fd, content)
        use(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def reason_of(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return str(error)


def pair_of(secret: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    return next(((secret[crt], secret[key]) for crt, key in PAIRS if secret.get(crt) and secret.get(key)), (b"", b""))


def first_of(secret: Mapping[str, bytes], keys: tuple[str, ...]) -> bytes:
    return next((secret[key] for key in keys if secret.get(key)), b"")


# names


def names_in(certificate: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The subject's alternative names of a certificate as `SSLObject.getpeercert` shows it: (kind, value)."""
    return [(kind, value) for kind, value in certificate.get("subjectAltName", ())]


def is_for(names: list[tuple[str, str]], wanted: str) -> bool:
    """Whether one of a certificate's names is the wanted one. DNS names may have a wildcard as their first label
    (RFC 6125 section 6.4.3); all others are compared whole."""
    for kind, value in names:
        if kind == "DNS":
            if dns_covers(value.lower(), wanted.lower()):
                return True
        elif kind == "IP Address":
            if same_address(value, wanted):
                return True
        elif value == wanted:
            return True
    return False


def dns_covers(pattern: str, name: str) -> bool:
    if pattern == name:
        return True
    first, _, rest = name.partition(".")
    return bool(first) and bool(rest) and "." in rest and pattern == f"*.{rest}"


def same_address(value: str, wanted: str) -> bool:
    try:
        return ip_address(value.strip()) == ip_address(wanted)
    except ValueError:
        return False
