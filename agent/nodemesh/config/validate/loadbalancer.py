"""Rules of DestinationRule's load balancing, locality and warm-up settings."""

from __future__ import annotations

from collections.abc import Iterable

from ..destinationrule import (
    ConsistentHashLB,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    WarmupConfiguration,
    ZoneAwareLoadBalancerSetting,
)
from ..meta import Path
from ..problems import Findings
from .common import check_duration, check_range

LARGEST_TABLE = 5_000_011
REGION = "topology.kubernetes.io/region"
ZONE = "topology.kubernetes.io/zone"
SUBZONE = "topology.istio.io/subzone"


def check_load_balancer(settings: LoadBalancerSettings, path: Path, findings: Findings, *, outlier: bool) -> None:
    """`outlier` says that outlier detection is set beside, which failover needs."""
    if settings.simple is not None and settings.consistent_hash is not None:
        findings.error("one-of", (*path, "consistentHash"), "only one of simple and consistentHash can be set")
    if settings.consistent_hash is not None:
        _consistent_hash(settings.consistent_hash, (*path, "consistentHash"), findings)
    if settings.locality_lb_setting is not None and settings.zone_aware_lb_setting is not None:
        message = "only one of localityLbSetting and zoneAwareLbSetting can be set"
        findings.error("one-of", (*path, "zoneAwareLbSetting"), message)
    if settings.locality_lb_setting is not None:
        check_locality(settings.locality_lb_setting, (*path, "localityLbSetting"), findings, outlier=outlier)
    if settings.zone_aware_lb_setting is not None:
        _zone_aware(settings.zone_aware_lb_setting, (*path, "zoneAwareLbSetting"), findings)
    if settings.warmup_duration_secs is not None:
        here = (*path, "warmupDurationSecs")
        check_duration(settings.warmup_duration_secs, here, findings)
        if settings.warmup is not None:
            findings.error("one-of", here, "only one of warmupDurationSecs and warmup can be set; use warmup")
        else:
            findings.warning("deprecated-field", here, "warmupDurationSecs is deprecated; use warmup: {duration: …}")
    if settings.warmup is not None:
        _warmup(settings.warmup, (*path, "warmup"), findings)


def _warmup(warmup: WarmupConfiguration, path: Path, findings: Findings) -> None:
    if warmup.duration is None:
        findings.error("missing-field", (*path, "duration"), "warmup needs its duration, for instance 30s")
    check_duration(warmup.duration, (*path, "duration"), findings)
    check_range(warmup.minimum_percent, 0, 100, (*path, "minimumPercent"), findings)
    if warmup.aggression is not None and not warmup.aggression > 0:
        message = f"{warmup.aggression:g} is out of range; right is more than 0 (1 is linear)"
        findings.bad_value("out-of-range", (*path, "aggression"), message)


def _consistent_hash(settings: ConsistentHashLB, path: Path, findings: Findings) -> None:
    keys = [
        name
        for name, value in (
            ("httpHeaderName", settings.http_header_name),
            ("httpCookie", settings.http_cookie),
            ("useSourceIp", settings.use_source_ip),
            ("httpQueryParameterName", settings.http_query_parameter_name),
        )
        if value is not None
    ]
    if len(keys) > 1:
        findings.error("one-of", (*path, keys[1]), f"only one of {' and '.join(keys)} can be set")
    algorithms = [
        name
        for name, value in (
            ("ringHash", settings.ring_hash),
            ("maglev", settings.maglev),
            ("minimumRingSize", settings.minimum_ring_size),
        )
        if value is not None
    ]
    if len(algorithms) > 1:
        findings.error("one-of", (*path, algorithms[1]), f"only one of {' and '.join(algorithms)} can be set")
    if settings.minimum_ring_size is not None:
        message = "minimumRingSize is deprecated here; use ringHash: {minimumRingSize: …}"
        findings.warning("deprecated-field", (*path, "minimumRingSize"), message)
    cookie = settings.http_cookie
    if cookie is not None:
        here = (*path, "httpCookie")
        if not cookie.name:
            findings.error("missing-field", (*here, "name"), "the cookie's name is required")
        seen: set[str] = set()
        for index, attribute in enumerate(cookie.attributes):
            place = (*here, "attributes", index)
            if not attribute.name:
                findings.error("missing-field", (*place, "name"), "the attribute's name is required")
            elif attribute.name in seen:
                findings.error("duplicate-name", place, f"the attribute `{attribute.name}` is set twice")
            seen.add(attribute.name or "")
    size = settings.maglev.table_size if settings.maglev is not None else None
    if size is not None and not (size < LARGEST_TABLE and _is_prime(size)):
        message = f"{size} is not a table size; right is a prime below {LARGEST_TABLE}, for instance 65537"
        findings.bad_value("bad-table-size", (*path, "maglev", "tableSize"), message)


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def check_locality(setting: LocalityLoadBalancerSetting, path: Path, findings: Findings, *, outlier: bool) -> None:
    if setting.distribute and setting.failover:
        findings.error("one-of", (*path, "failover"), "only one of distribute and failover can be set")
    sources: list[str] = []
    for index, distribute in enumerate(setting.distribute):
        here = (*path, "distribute", index)
        sources.append(distribute.from_ or "")
        _locality(distribute.from_ or "", (*here, "from"), findings)
        for name, weight in distribute.to.items():
            _locality(name, (*here, "to", name), findings)
            if not 1 <= weight <= 100:
                message = f"the weight {weight} is out of range; right is 1 to 100"
                findings.bad_value("bad-weight", (*here, "to", name), message)
        total = sum(distribute.to.values())
        if total != 100:
            findings.error("bad-weight", (*here, "to"), f"the weights sum up to {total}; they have to make 100")
        _overlapping(list(distribute.to), (*here, "to"), findings)
    _overlapping(sources, (*path, "distribute"), findings)
    pairs = [(failover.from_ or "", failover.to or "") for failover in setting.failover]
    _failovers(pairs, setting.failover_priority, path, findings)
    if setting.failover and not outlier:
        message = "failover has no effect without outlierDetection beside it"
        findings.warning("failover-without-outlier-detection", (*path, "failover"), message)


def _zone_aware(setting: ZoneAwareLoadBalancerSetting, path: Path, findings: Findings) -> None:
    check_range(setting.min_cluster_size, 1, float("inf"), (*path, "minClusterSize"), findings)
    pairs = [(failover.from_ or "", failover.to or "") for failover in setting.failover]
    _failovers(pairs, (), path, findings)
    for index, label in enumerate(setting.failover_priority):
        name = label.partition("=")[0]
        if name in (REGION, ZONE, SUBZONE):
            message = f"the zones' order is Envoy's to know: failoverPriority cannot name `{name}` here"
            findings.bad_value("bad-failover", (*path, "failoverPriority", index), message)


def _failovers(pairs: list[tuple[str, str]], priority: tuple[str, ...], path: Path, findings: Findings) -> None:
    for index, (source, target) in enumerate(pairs):
        here = (*path, "failover", index)
        if source == target:
            findings.error("bad-failover", here, f"failover from `{source}` to itself; name another region")
        for name, region in (("from", source), ("to", target)):
            if "/" in region or "*" in region or not region:
                message = f"failover is between regions; `{region}` is none (no zone, no `*`)"
                findings.bad_value("bad-failover", (*here, name), message)
    for index, label in enumerate(priority):
        name = label.partition("=")[0]
        if pairs and name in (REGION, ZONE, SUBZONE):
            message = f"failoverPriority cannot name `{name}` beside failover"
            findings.bad_value("bad-failover", (*path, "failoverPriority", index), message)


def _locality(locality: str, path: Path, findings: Findings) -> None:
    """`region/zone/subzone`, each part may be `*` where nothing more exact follows."""
    parts = locality.split("/")
    fault = ""
    if not locality or "" in parts:
        fault = "a part is empty"
    elif len(parts) > 3:
        fault = "it has more than three parts"
    elif any("*" in part and part != "*" for part in parts) or "*" in parts[:-1]:
        fault = "`*` can only stand alone as the last part"
    if fault:
        message = f"`{locality}` is not a locality: {fault}; right is region/zone/subzone or region/*"
        findings.error("bad-locality", path, message)


def _overlapping(localities: Iterable[str], path: Path, findings: Findings) -> None:
    seen: list[str] = []
    for locality in localities:
        bare = f"{locality.removesuffix('/*')}/"
        for other in seen:
            if "*/" in (bare, other) or bare.startswith(other) or other.startswith(bare):
                message = f"the localities `{locality}` and `{other.removesuffix('/')}` overlap"
                findings.error("bad-locality", path, message)
                return
        seen.append(bare)
