"""Rules that several kinds share: host names, ports, durations, percentages, label selectors, exportTo."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping

from ..annotations import VALUES
from ..base import Duration
from ..meta import Meta, Path
from ..problems import Findings

_LABEL = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")
_WILDCARD_LABEL = re.compile(r"\*|(?:\*-?)?[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]{0,252}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def is_label(text: str) -> bool:
    """A DNS-1123 label, in Istio's reading (capital letters are let through)."""
    return len(text) <= 63 and _LABEL.fullmatch(text) is not None


def is_token(text: str) -> bool:
    """An HTTP field name (RFC 9110, 5.6.2)."""
    return _TOKEN.fullmatch(text) is not None


#: An IPv4 address as it is written, without zeros in front: most are, and this is ten times faster than to parse it.
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
CANONICAL = re.compile(rf"{_BYTE}(?:\.{_BYTE}){{3}}", re.ASCII)


def is_ip(text: str) -> bool:
    if CANONICAL.fullmatch(text):
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_subnet(text: str) -> bool:
    """An address, or an address with a prefix length."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def host_fault(host: str, *, wildcard: bool) -> str:
    """Why `host` is not a host name (Istio's ValidateWildcardDomain and ValidateFQDN); "" where it is one."""
    if not host:
        return "a host name cannot be empty"
    if len(host) > 255:
        return f"a host name has at most 255 characters, not {len(host)}"
    first, _, rest = host.partition(".")
    labels = rest.removesuffix(".").split(".") if rest else []
    if wildcard:
        if not (_WILDCARD_LABEL.fullmatch(first) and len(first) <= 63):
            return f"`{first}` is not a DNS label"
    else:
        labels.insert(0, first)
    for label in labels:
        if "*" in label:
            where = "`*` is allowed as the first label only" if wildcard else "no `*` is allowed here"
            return f"{where}, for instance *.example.com" if wildcard else where
        if not is_label(label):
            return f"`{label}` is not a DNS label" if label else "two dots follow each other"
    if labels and labels[-1].isdigit():
        return f"the last label `{labels[-1]}` cannot be a number"
    return ""


def named_host_fault(host: str) -> str:
    """Why `host` cannot stand in a Gateway or a Sidecar, which know no namespace to complete it in (Istio's
    validateSidecarOrGatewayHostnamePart); "" where it can."""
    fault = host_fault(host, wildcard=True)
    if fault or host == "*":
        return fault
    if "." not in host:
        return (
            f"a short name stands for nothing here; write it in full, for instance {host}.NAMESPACE.svc.cluster.local"
        )
    if host.startswith("*") and not host.startswith("*."):
        return "`*` stands for whole labels, as in *.example.com"
    return ""


#: What the address of a Unix socket begins with.
UNIX = "unix://"


def unix_fault(address: str) -> str:
    """Why `address` (with its unix://) is no socket (Istio's ValidateUnixAddress); "" where it is one."""
    place = address.removeprefix(UNIX)
    if not place.startswith(("/", "@")):
        return "a unix address is absolute (unix:///path) or abstract (unix://@name)"
    if place.startswith("/") and place.endswith("/"):
        return "a unix address names a socket, not a directory"
    return ""


def check_bind(bind: str | None, path: Path, findings: Findings, *, unix: bool = True) -> None:
    """What a listener is bound to: an address, or (if `unix`) a socket."""
    if not bind or is_ip(bind):
        return
    if unix and bind.startswith(UNIX):
        fault = unix_fault(bind)
        if fault:
            findings.bad_value("bad-address", (*path, "bind"), fault)
        return
    right = "an address or unix:///path" if unix else "an address"
    findings.bad_value("bad-address", (*path, "bind"), f"`{bind}` is no place to listen on; right is {right}")


def check_host(host: str | None, path: Path, findings: Findings, *, wildcard: bool = True, ip: bool = False) -> bool:
    fault = host_fault(host or "", wildcard=wildcard)
    if fault and not (ip and host and is_ip(host)):
        findings.bad_value("bad-host", path, f"`{host or ''}` is not a host: {fault}")
        return False
    return True


def covers(pattern: str, host: str) -> bool:
    """Whether every name that `host` stands for is one of `pattern`'s (`*.foo.com` covers `a.foo.com`)."""
    pattern, host = pattern.lower(), host.lower()
    if pattern.startswith("*"):
        return len(host) >= len(pattern) and host.endswith(pattern[1:])
    return pattern == host


def overlap(one: str, other: str) -> bool:
    """Whether two hosts, wildcard or not, share a name."""
    return covers(one, other) or covers(other, one)


def check_port(number: int | None, path: Path, findings: Findings) -> bool:
    if number is None or not 1 <= number <= 65535:
        findings.bad_value("bad-port", path, f"{number or 0} is not a port; right is 1 to 65535")
        return False
    return True


def check_duration(value: Duration | None, path: Path, findings: Findings) -> None:
    """Zero is not a duration in most places: leaving the field out is the way to say "none"."""
    if value is not None and value < 1:
        message = "0s is not a duration here; right is 1ms or more, or leave the field out"
        findings.bad_value("bad-duration", path, message)


def check_percent(value: float | None, path: Path, findings: Findings) -> None:
    """A fractional percentage: 0, or 0.0001 (one in a million) to 100."""
    if value is not None and not (value == 0 or 0.0001 <= value <= 100):
        message = f"{value:g} is not a percentage; right is 0, or 0.0001 to 100"
        findings.bad_value("bad-percentage", path, message)


def check_range(value: float | None, low: float, high: float, path: Path, findings: Findings) -> None:
    if value is not None and not low <= value <= high:
        right = f"{low:g} or more" if high == float("inf") else f"{low:g} to {high:g}"
        findings.bad_value("out-of-range", path, f"{value:g} is out of range; right is {right}")


def check_not_negative(value: float | None, path: Path, findings: Findings) -> None:
    check_range(value, 0, float("inf"), path, findings)


def check_subset(name: str | None, path: Path, findings: Findings) -> None:
    if name is not None and not is_label(name):
        message = f"`{name}` is not a subset's name; right are letters, digits and `-`, at most 63"
        findings.bad_value("bad-name", path, message)


def check_subnets(subnets: Iterable[str], path: Path, findings: Findings) -> None:
    for index, subnet in enumerate(subnets):
        if not is_subnet(subnet):
            message = f"`{subnet}` is not a subnet; right is an address or 10.0.0.0/8"
            findings.bad_value("bad-address", (*path, index), message)


def check_labels(labels: Mapping[str, str], path: Path, findings: Findings) -> None:
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key):
            findings.error("bad-label", (*path, key), f"`{key}` is not a label's name; right is [prefix/]name")
        if len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
            message = f"`{value}` is not a label's value; right are up to 63 letters, digits, `-`, `_` and `.`"
            findings.bad_value("bad-label", (*path, key), message)


def check_selector(labels: Mapping[str, str], path: Path, findings: Findings) -> None:
    """A workload selector: no wildcards; without labels it selects the whole namespace, which is worth a warning."""
    if not labels:
        message = "the selector is empty and selects every workload of the namespace"
        findings.warning("empty-selector", path[:-1], message)
    for key, value in labels.items():
        if not key:
            findings.error("bad-label", (*path, key), "a label's name cannot be empty")
        elif "*" in key or "*" in value:
            findings.error("selector-wildcard", (*path, key), "a workload selector takes no `*`; write it in full")
    check_labels({k: v for k, v in labels.items() if k and "*" not in k + v}, path, findings)


def check_export_to(names: tuple[str, ...], meta: Meta, findings: Findings, *, none: bool = False) -> None:
    """`.`, `*`, namespaces; `~` (nowhere) for ServiceEntry only."""
    path: Path = ("spec", "exportTo")
    seen: set[str] = set()
    for index, name in enumerate(names):
        here = (*path, index)
        if name == "~" and not none:
            findings.bad_value("bad-export-to", here, "`~` (no namespace) is for ServiceEntry only")
        elif name not in ("*", ".", "~") and not is_label(name):
            findings.bad_value("bad-export-to", here, f"`{name}` is not a namespace, nor `.` or `*`")
        elif name in ("*", "~") and len(names) > 1:
            findings.bad_value("bad-export-to", here, f"`{name}` cannot stand beside others; leave one of them")
        real = meta.namespace if name == "." else name
        if real in seen:
            findings.bad_value("bad-export-to", here, f"`{name}` names a namespace a second time; remove it")
        seen.add(real)


#: Why ISTIO_MUTUAL is without effect.
NO_AUTHORITY = "nodemesh has no certificate authority of its own; use MUTUAL with a credential"


def check_own_words(kind: str, meta: Meta, findings: Findings) -> None:
    """Labels and annotations of ours (`nodemesh.io/…`) on an object of this kind."""
    for name, allowed in VALUES.get(kind, {}).items():
        for place, found in (("labels", meta.labels), ("annotations", meta.annotations)):
            if name in found and found[name] not in allowed:
                message = (
                    f"`{found[name]}` is no value of {name}, which has no effect so; right is {' or '.join(allowed)}"
                )
                findings.warning("bad-annotation", ("metadata", place, name), message)
