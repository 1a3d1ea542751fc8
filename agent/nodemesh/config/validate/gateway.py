"""Rules of Gateway and of the TLS settings that servers have (Istio's ValidateGateway and the CRD)."""

from __future__ import annotations

from ..credential import CONFIG_MAP, config_map_fault
from ..gateway import GatewaySpec, Port, Server, ServerTLSMode, ServerTLSSettings, TLSProtocol
from ..meta import Meta, Path
from ..problems import Findings
from .common import NO_AUTHORITY, UNIX, check_bind, check_labels, check_port, is_ip, is_label, named_host_fault

PROTOCOLS = ("HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "MONGO", "REDIS", "MYSQL", "TCP", "TLS")
TLS_PROTOCOLS = ("HTTPS", "TLS")
HTTP_PROTOCOLS = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB")

#: The cipher suites that Istio lets through to BoringSSL.
CIPHERS = frozenset(
    {
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES256-SHA",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "AES128-SHA",
        "AES256-SHA",
        "DES-CBC3-SHA",
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    }
)


def check_gateway(spec: GatewaySpec, meta: Meta, findings: Findings) -> None:
    if not spec.servers:
        findings.error("missing-field", ("spec", "servers"), "a gateway needs at least one server")
    check_labels(spec.selector, ("spec", "selector"), findings)
    if not spec.selector:
        findings.warning("empty-selector", ("spec",), "without a selector every gateway workload serves the gateway")
    names: set[str] = set()
    server_names: set[str] = set()
    for index, server in enumerate(spec.servers):
        path: Path = ("spec", "servers", index)
        _server(server, meta, path, findings)
        name = server.port.name if server.port is not None else None
        if name and name in names:
            message = f"the port name `{name}` is used twice; name each port differently"
            findings.bad_value("duplicate-name", (*path, "port", "name"), message)
        names.add(name or "")
        if server.name and server.name in server_names:
            message = f"the server name `{server.name}` is used twice"
            findings.bad_value("duplicate-name", (*path, "name"), message)
        server_names.add(server.name or "")


def _server(server: Server, meta: Meta, path: Path, findings: Findings) -> None:
    if server.port is None:
        findings.error("missing-field", (*path, "port"), "the server's port (number, name, protocol) is required")
    else:
        _port(server.port, server.bind, (*path, "port"), findings)
    if not server.hosts:
        findings.error("missing-field", (*path, "hosts"), 'the server\'s hosts are required; "*" stands for all')
    for index, host in enumerate(server.hosts):
        check_gateway_host(host, (*path, "hosts", index), findings)
    check_bind(server.bind, path, findings)
    _tls_by_protocol(server, path, findings)
    if server.tls is not None:
        _server_tls(server.tls, (*path, "tls"), findings)


def _port(port: Port, bind: str | None, path: Path, findings: Findings) -> None:
    if bind is not None and bind.startswith(UNIX):
        if port.number:
            findings.bad_value("bad-port", (*path, "number"), "a server bound to unix:// has the port number 0")
    else:
        check_port(port.number, (*path, "number"), findings)
    if not port.protocol:
        findings.error("missing-field", (*path, "protocol"), f"the protocol is required: one of {', '.join(PROTOCOLS)}")
    elif port.protocol.upper() not in PROTOCOLS:
        message = f"`{port.protocol}` is not a protocol of gateways; right is one of {', '.join(PROTOCOLS)}"
        findings.bad_value("bad-protocol", (*path, "protocol"), message)
    if not port.name:
        findings.error("missing-field", (*path, "name"), "the port's name is required")
    elif not is_label(port.name):
        message = f"`{port.name}` is not a port's name; right are letters, digits and `-`"
        findings.bad_value("bad-name", (*path, "name"), message)
    if port.target_port is not None:
        message = "targetPort is taken from the gateway's Service; remove it here"
        findings.error("unsupported-field", (*path, "targetPort"), message)


def check_gateway_host(host: str, path: Path, findings: Findings) -> None:
    """`[namespace/]host`, where the namespace may be `.` or `*`."""
    namespace, slash, name = host.rpartition("/")
    if slash and namespace not in (".", "*") and not is_label(namespace):
        findings.bad_value("bad-host", path, f"`{namespace}` is not a namespace; right is a name, `.` or `*`")
    fault = named_host_fault(name)
    if fault and not ("." in name and is_ip(name)):
        findings.bad_value("bad-host", path, f"`{host}` is not a host: {fault}")


def _tls_by_protocol(server: Server, path: Path, findings: Findings) -> None:
    """Which protocols need TLS settings and which cannot have them."""
    protocol = (server.port.protocol or "").upper() if server.port is not None else ""
    tls = server.tls
    if protocol in TLS_PROTOCOLS and tls is None:
        findings.error("missing-field", (*path, "tls"), f"a server of the protocol {protocol} needs tls settings")
    elif protocol in HTTP_PROTOCOLS and tls is not None:
        if (
            protocol == "HTTP"
            and tls.https_redirect
            and (tls.mode or ServerTLSMode.PASSTHROUGH) is ServerTLSMode.PASSTHROUGH
        ):
            if tls.server_certificate or tls.credential_name:
                message = "an HTTP server that redirects to HTTPS has no certificates; move them to the HTTPS server"
                findings.error("tls-on-plain-port", (*path, "tls"), message)
        else:
            message = f"a server of the protocol {protocol} has no tls; only httpsRedirect on HTTP is possible"
            findings.error("tls-on-plain-port", (*path, "tls"), message)
    elif protocol and protocol not in TLS_PROTOCOLS and protocol in PROTOCOLS and tls is not None:
        message = f"a server of the protocol {protocol} has no tls; use the protocol TLS"
        findings.error("tls-on-plain-port", (*path, "tls"), message)
    if protocol == "TLS" and tls is not None and tls.https_redirect:
        message = "httpsRedirect is for HTTP servers only"
        findings.error("tls-on-plain-port", (*path, "tls", "httpsRedirect"), message)


def _server_tls(tls: ServerTLSSettings, path: Path, findings: Findings) -> None:
    mode = tls.mode or ServerTLSMode.PASSTHROUGH
    _one_certificate_source(tls, path, findings)
    if mode is ServerTLSMode.ISTIO_MUTUAL:
        message = f"ISTIO_MUTUAL cannot be served here, connections are closed: {NO_AUTHORITY}"
        findings.warning("no-effect", (*path, "mode"), message)
        for name, value in (
            ("serverCertificate", tls.server_certificate),
            ("privateKey", tls.private_key),
            ("caCertificates", tls.ca_certificates),
            ("credentialName", tls.credential_name),
            ("credentialNames", tls.credential_names),
            ("tlsCertificates", tls.tls_certificates),
        ):
            if value:
                findings.error("one-of", (*path, name), f"ISTIO_MUTUAL brings its own certificates; remove {name}")
    elif mode in (ServerTLSMode.SIMPLE, ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL):
        _certificates(tls, mode, path, findings)
    _revocations(tls, mode, path, findings)
    _versions(tls, path, findings)
    seen: set[str] = set()
    for index, cipher in enumerate(tls.cipher_suites):
        here = (*path, "cipherSuites", index)
        if cipher not in CIPHERS:
            findings.warning("unknown-cipher", here, f"`{cipher}` is not a known cipher suite and is passed over")
        elif cipher in seen:
            findings.warning("unknown-cipher", here, f"`{cipher}` is listed twice")
        seen.add(cipher)


def _revocations(tls: ServerTLSSettings, mode: ServerTLSMode, path: Path, findings: Findings) -> None:
    """Where caCrl has no place. Istio does not look at it where a served mode has a credential."""
    if not tls.ca_crl or mode is ServerTLSMode.ISTIO_MUTUAL:
        return
    passes = mode in (ServerTLSMode.PASSTHROUGH, ServerTLSMode.AUTO_PASSTHROUGH)
    if not passes and (tls.credential_name or tls.credential_names):
        return
    if mode is ServerTLSMode.SIMPLE or tls.credential_name:
        message = "caCrl checks clients by files; it has no place with SIMPLE, nor beside the credentialName of a mode "
        findings.error("one-of", (*path, "caCrl"), f"{message}that passes TLS on")


def _one_certificate_source(tls: ServerTLSSettings, path: Path, findings: Findings) -> None:
    sources = [
        name
        for name, value in (
            ("serverCertificate", tls.server_certificate and tls.private_key),
            ("credentialName", tls.credential_name),
            ("credentialNames", tls.credential_names),
            ("tlsCertificates", tls.tls_certificates),
        )
        if value
    ]
    if len(sources) > 1:
        named = " and ".join(sources).replace("serverCertificate", "serverCertificate with privateKey")
        findings.error("one-of", (*path, sources[1]), f"only one of {named} can be set")
    for name, count in (("credentialNames", len(tls.credential_names)), ("tlsCertificates", len(tls.tls_certificates))):
        if count > 2:
            message = f"{name} has {count} entries; at most two are allowed (one RSA, one ECDSA)"
            findings.error("too-many", (*path, name), message)
    for index, certificate in enumerate(tls.tls_certificates):
        here = (*path, "tlsCertificates", index)
        if not certificate.server_certificate or not certificate.private_key:
            findings.error("missing-field", here, "a certificate needs serverCertificate and privateKey")
        if certificate.ca_certificates:
            message = "the CA stands in tls.caCertificates, not with one certificate"
            findings.error("unsupported-field", (*here, "caCertificates"), message)


def _certificates(tls: ServerTLSSettings, mode: ServerTLSMode, path: Path, findings: Findings) -> None:
    """Where the server's certificate and, for mutual modes, the clients' CA come from."""
    _config_maps(tls, path, findings)
    if tls.credential_name or tls.credential_names:
        return
    if not tls.tls_certificates:
        for name, value in (("serverCertificate", tls.server_certificate), ("privateKey", tls.private_key)):
            if not value:
                findings.error("missing-field", (*path, name), f"{mode} needs {name}, or a credentialName")
    if mode is not ServerTLSMode.SIMPLE and not tls.ca_certificates and not tls.ca_cert_credential_name:
        ways = "caCertificates, a caCertCredentialName, or a credentialName"
        message = f"{mode} checks clients' certificates and needs {ways}"
        findings.error("missing-field", (*path, "caCertificates"), message)


def _config_maps(tls: ServerTLSSettings, path: Path, findings: Findings) -> None:
    names = [((*path, "credentialName"), tls.credential_name or "")]
    names += [((*path, "credentialNames", index), name) for index, name in enumerate(tls.credential_names)]
    for here, name in names:
        if name.startswith(CONFIG_MAP):
            message = "a ConfigMap holds no private key; it can be the caCertCredentialName beside a Secret"
            findings.bad_value("bad-credential", here, message)
    authority = tls.ca_cert_credential_name or ""
    message = config_map_fault(authority) if authority.startswith(CONFIG_MAP) else ""
    if message:
        findings.bad_value("bad-credential", (*path, "caCertCredentialName"), message)


def _versions(tls: ServerTLSSettings, path: Path, findings: Findings) -> None:
    order = list(TLSProtocol)
    low, high = tls.min_protocol_version, tls.max_protocol_version
    if low and high and high is not TLSProtocol.TLS_AUTO and order.index(low) > order.index(high):
        message = f"minProtocolVersion {low} is above maxProtocolVersion {high}"
        findings.error("bad-tls-version", (*path, "minProtocolVersion"), message)
    for name, version in (("minProtocolVersion", low), ("maxProtocolVersion", high)):
        if version in (TLSProtocol.TLSV1_0, TLSProtocol.TLSV1_1) and not tls.cipher_suites:
            message = f"{version} is not safe and needs cipherSuites that allow it"
            findings.warning("old-tls-version", (*path, name), message)
