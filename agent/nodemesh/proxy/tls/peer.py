"""What is told of the TLS on a connection and of the certificate that its peer has shown."""

from __future__ import annotations

import ssl
from typing import Any, Final
from urllib.parse import quote

from ...bounded import Bounded
from ..transport import Secured

#: Certificates that were read before, by their bytes: the same clients come again and again.
READ: Final[Bounded[bytes, Any]] = Bounded(64)

#: Of a name within a certificate only what a field's value may hold (RFC 9110 section 5.5).
PRINTABLE: Final = range(0x20, 0x7F)


def forwarded_certificate(der: bytes) -> bytes:
    """x-forwarded-client-cert with what Istio's gateways tell of the client: hash, certificate, subject and names."""
    parts = [f"Hash={told(der, 'FINGERPRINT_256', '')}", f'Cert="{told(der, "CERT", "")}"']
    subject = told(der, "SUBJECT", "").replace("\\", "\\\\").replace('"', '\\"')
    parts.append(f'Subject="{subject}"')
    parts += [f"URI={uri}" for uri in names(read(der), "URI_SAN")]
    parts += [f"DNS={name}" for name in names(read(der), "DNS_SAN")]
    return ";".join(parts).encode()


def of_connection(connection: Secured | None, what: str, argument: str) -> str:
    """What is told of the TLS itself (`TLS_VERSION`), or of the peer (`PEER_SUBJECT`); empty where there is nothing."""
    if connection is None:
        return ""
    if what == "TLS_VERSION":
        return connection.version() or ""
    if what == "TLS_CIPHER":
        cipher = connection.cipher()
        return cipher[0] if cipher is not None else ""
    if what == "TLS_SESSION_ID":
        session = connection.session
        return session.id.hex() if session is not None else ""
    der = connection.getpeercert(True) if what.startswith("PEER_") else None
    return clean(told(der, what.removeprefix("PEER_"), argument)) if der else ""


def clean(text: str) -> str:
    """The text without what would end a field's value."""
    return text if text.isascii() and text.isprintable() else "".join(c for c in text if ord(c) in PRINTABLE)


def read(der: bytes) -> Any:
    """The certificate."""
    found = READ.found.get(der)
    if found is None:
        from cryptography import x509  # 10 MB that a worker without such clients is spared

        found = READ.keep(der, x509.load_der_x509_certificate(der))
    return found


def told(der: bytes, what: str, argument: str) -> str:
    """One thing of a certificate, as Envoy writes it."""
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256

    certificate = read(der)
    if what == "SUBJECT":
        return str(certificate.subject.rfc4514_string())
    if what == "ISSUER":
        return str(certificate.issuer.rfc4514_string())
    if what == "CERT":
        return quote(ssl.DER_cert_to_PEM_cert(der), safe="")
    if what == "SERIAL":
        return f"{certificate.serial_number:x}"
    if what == "FINGERPRINT_256":
        return str(certificate.fingerprint(SHA256()).hex())
    if what == "FINGERPRINT_1":
        return str(certificate.fingerprint(SHA1()).hex())
    if what == "CERT_V_START":
        return str(certificate.not_valid_before_utc.strftime(argument or "%Y-%m-%dT%H:%M:%S.000Z"))
    if what == "CERT_V_END":
        return str(certificate.not_valid_after_utc.strftime(argument or "%Y-%m-%dT%H:%M:%S.000Z"))
    return ",".join(names(certificate, what))


def names(certificate: Any, what: str) -> list[str]:
    """The subject's other names of one kind."""
    from cryptography import x509

    kinds: dict[str, Any] = {
        "URI_SAN": x509.UniformResourceIdentifier,
        "DNS_SAN": x509.DNSName,
        "IP_SAN": x509.IPAddress,
        "EMAIL_SAN": x509.RFC822Name,
    }
    if what not in kinds:
        return []
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [clean(str(name)) for name in found.get_values_for_type(kinds[what])]
