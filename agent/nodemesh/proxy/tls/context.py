"""OpenSSL contexts, made of certificates, keys and authorities as bytes."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from typing import Final, NamedTuple

from ...config.gateway import ServerTLSMode, ServerTLSSettings, TLSProtocol
from ...routing.decision import UpstreamTls

VERSIONS: Final[dict[TLSProtocol, ssl.TLSVersion]] = {
    TLSProtocol.TLSV1_0: ssl.TLSVersion.TLSv1,
    TLSProtocol.TLSV1_1: ssl.TLSVersion.TLSv1_1,
    TLSProtocol.TLSV1_2: ssl.TLSVersion.TLSv1_2,
    TLSProtocol.TLSV1_3: ssl.TLSVersion.TLSv1_3,
}


class ContextSource(NamedTuple):
    """What one context is made of; empty parts are absent."""

    pairs: tuple[tuple[bytes, bytes], ...] = ()  # certificate chain, private key
    authority: bytes = b""
    revoked: bytes = b""


def client_context(tls: UpstreamTls, source: ContextSource, alpn: str) -> ssl.SSLContext:
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


def server_context(tls: ServerTLSSettings, source: ContextSource) -> ssl.SSLContext:
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


def trust(context: ssl.SSLContext, source: ContextSource) -> None:
    context.load_verify_locations(cadata=source.authority.decode())
    if source.revoked:
        with_file(source.revoked, lambda path: context.load_verify_locations(cafile=path))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def load_pairs(context: ssl.SSLContext, source: ContextSource) -> None:
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
        load_pairs(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ContextSource(((certificate, key),), b"", b""))
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
