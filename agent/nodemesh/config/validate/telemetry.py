"""Rules of Telemetry (Istio's ValidateTelemetry and the CRD), and of what its expressions may say."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..cel import CelError, CelNode, fields_of, parse_filter, parse_value
from ..commands import FormatError
from ..log_format import FIELDS_LIMIT, check_format
from ..meta import Meta, Path
from ..problems import Findings
from ..providers import PROMETHEUS
from ..telemetry import (
    AccessLogging,
    CustomTag,
    IstioMetric,
    MetricsOverrides,
    PolicyTargetReference,
    ProviderRef,
    TagOperation,
    TelemetryMetrics,
    TelemetrySpec,
    Tracing,
    WorkloadMode,
)
from .common import check_duration, check_range, check_selector, is_token

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

#: Labels of one override, and their names' length.
TAGS = 32
TAG_NAME = 64

#: Of one object, whose expressions are evaluated for each request of its workloads: labels and filters, their
#: characters, and the regular expressions in them; overrides and entries; tags of spans, and the characters of a name.
EXPRESSIONS = 64
CHARACTERS = 16 * 1024
REGEXES = 16
ENTRIES = 64
CUSTOM_TAGS = 64
CUSTOM_NAME = 128

#: The kinds of a target, with their groups.
GATEWAY = ("gateway.networking.k8s.io", "Gateway")
WAYPOINT_KINDS = (("", "Service"), ("networking.istio.io", "ServiceEntry"))

#: Labels that tell series of one metric apart or whose they are; without them sums are wrong.
KEPT = ("reporter", "le")

#: Labels that say whose series it is. The page is all namespaces': nobody writes others' names into it.
OWNERS = (
    "source_workload_namespace", "destination_workload_namespace", "destination_service", "destination_service_name",
    "destination_service_namespace",
)  # fmt: skip


def check_telemetry(spec: TelemetrySpec, meta: Meta, findings: Findings) -> None:
    if spec.selector is not None:
        check_selector(spec.selector.match_labels, ("spec", "selector", "matchLabels"), findings)
    targets: list[tuple[Path, PolicyTargetReference]] = []
    if spec.target_ref is not None:
        targets.append((("spec", "targetRef"), spec.target_ref))
    targets += [(("spec", "targetRefs", index), target) for index, target in enumerate(spec.target_refs)]
    if sum((spec.selector is not None, spec.target_ref is not None, bool(spec.target_refs))) > 1:
        findings.error("one-of", ("spec",), "only one of selector, targetRef and targetRefs can be set")
    for path, target in targets:
        _target(target, path, meta, findings)
    _modes([entry.match.mode if entry.match is not None else None for entry in spec.tracing], findings)
    for index, tracing in enumerate(spec.tracing):
        _tracing(tracing, ("spec", "tracing", index), findings)
    for index, metrics in enumerate(spec.metrics):
        _metrics(metrics, ("spec", "metrics", index), findings)
    for index, logging in enumerate(spec.access_logging):
        _logging(logging, ("spec", "accessLogging", index), findings)
    _bounds(spec, findings)


def _bounds(spec: TelemetrySpec, findings: Findings) -> None:
    """Whoever writes an object, the workers have its cost, and others wait for them."""
    overrides = [override for metrics in spec.metrics for override in metrics.overrides]
    texts = [tag.value or "" for override in overrides for tag in override.tag_overrides.values()]
    filters = [logging.filter for logging in spec.access_logging if logging.filter is not None]
    texts += [each.expression or "" for each in filters]
    for count, most, what in (
        (len(texts), EXPRESSIONS, "labels and filters"),
        (sum(map(len, texts)), CHARACTERS, "characters in its expressions"),
        (sum(text.count("matches") for text in texts), REGEXES, "regular expressions"),
        (len(overrides) + len(spec.access_logging), ENTRIES, "overrides and entries of accessLogging"),
        (sum(len(tracing.custom_tags) for tracing in spec.tracing), CUSTOM_TAGS, "customTags"),
    ):
        if count > most:
            findings.error("too-many", ("spec",), f"a Telemetry has at most {most} {what}, not {count}")


def _target(target: PolicyTargetReference, path: Path, meta: Meta, findings: Findings) -> None:
    if not target.name:
        findings.error("missing-field", (*path, "name"), "a target needs its name")
    if target.namespace and target.namespace != meta.namespace:
        findings.bad_value("bad-namespace", (*path, "namespace"), "a target is in the Telemetry's own namespace")
    found = (target.group or "", target.kind or "")
    if found in WAYPOINT_KINDS:
        message = "there are no waypoints here; a Telemetry for the clients of a service selects them by their labels"
        findings.warning("unsupported-field", (*path, "kind"), message)
    elif found != GATEWAY:
        message = f"`{target.kind or ''}` is no target of Telemetry; right is Gateway of {GATEWAY[0]}"
        findings.bad_value("bad-enum", (*path, "kind"), message)


def _providers(providers: tuple[ProviderRef, ...], path: Path, findings: Findings) -> None:
    for index, provider in enumerate(providers):
        if not provider.name:
            findings.error("missing-field", (*path, "providers", index, "name"), "a provider needs its name")


def _modes(modes: list[WorkloadMode | None], findings: Findings) -> None:
    """Istio: one entry of tracing for each mode."""
    seen: set[WorkloadMode] = set()
    for index, mode in enumerate(modes):
        mode = mode or WorkloadMode.CLIENT_AND_SERVER
        if mode in seen:
            message = f"there is an entry for the mode {mode} already, and each has one"
            findings.error("duplicate-mode", ("spec", "tracing", index), message)
        seen.add(mode)


def _tracing(tracing: Tracing, path: Path, findings: Findings) -> None:
    _providers(tracing.providers, path, findings)
    if len(tracing.providers) > 1:
        findings.error("too-many", (*path, "providers"), "one provider of traces is possible, as in Istio")
    check_range(tracing.random_sampling_percentage, 0, 100, (*path, "randomSamplingPercentage"), findings)
    for name, tag in tracing.custom_tags.items():
        _custom_tag(tag, (*path, "customTags", name), findings)
        if not 0 < len(name) <= CUSTOM_NAME:
            message = f"a tag needs a name, of up to {CUSTOM_NAME} characters"
            findings.error("missing-field", (*path, "customTags", name), message)


def _custom_tag(tag: CustomTag, path: Path, findings: Findings) -> None:
    kinds = [entry for entry in (tag.literal, tag.environment, tag.header, tag.formatter) if entry is not None]
    if len(kinds) != 1:
        findings.error("one-of", path, "a tag has exactly one of literal, environment, header and formatter")
    if tag.literal is not None and not tag.literal.value:
        findings.error("missing-field", (*path, "literal", "value"), "a literal needs its value")
    if tag.environment is not None and not tag.environment.name:
        findings.error("missing-field", (*path, "environment", "name"), "a variable needs its name")
    if tag.header is not None and not is_token(tag.header.name or ""):
        findings.error("missing-field", (*path, "header", "name"), f"`{tag.header.name or ''}` is no field's name")
    if tag.formatter is not None:
        _format(tag.formatter.value or "", (*path, "formatter", "value"), findings)


def _format(text: str, path: Path, findings: Findings) -> None:
    if not text:
        findings.error("missing-field", path, "a format is made of operators, as %REQ(X-ID)%")
    try:
        check_format(text, False)
    except FormatError as error:
        findings.bad_value("bad-log-format", path, f"{error} (character {error.offset + 1} of the format)")


def _metrics(metrics: TelemetryMetrics, path: Path, findings: Findings) -> None:
    _providers(metrics.providers, path, findings)
    check_duration(metrics.reporting_interval, (*path, "reportingInterval"), findings)
    for index, provider in enumerate(metrics.providers):
        if provider.name and provider.name != PROMETHEUS:
            message = (
                f"metrics are on the agent's own page, the provider {PROMETHEUS}; what is said of `{provider.name}` "
                "has no effect"
            )
            findings.warning("unknown-provider", (*path, "providers", index, "name"), message)
    for index, override in enumerate(metrics.overrides):
        _override(override, (*path, "overrides", index), findings)


def _override(override: MetricsOverrides, path: Path, findings: Findings) -> None:
    match = override.match
    if match is not None and match.custom_metric is not None:
        if match.metric is not None:
            findings.error("one-of", (*path, "match"), "only one of metric and customMetric can be set")
        if not match.custom_metric:
            findings.error("missing-field", (*path, "match", "customMetric"), "a metric needs its name")
        else:
            message = f"there is no metric `{match.custom_metric}` here; right is one of {', '.join(IstioMetric)}"
            findings.warning("unsupported-field", (*path, "match", "customMetric"), message)
    if len(override.tag_overrides) > TAGS:
        findings.error("too-many", (*path, "tagOverrides"), f"an override has at most {TAGS} labels")
    for name, tag in override.tag_overrides.items():
        here = (*path, "tagOverrides", name)
        if not _LABEL_NAME.fullmatch(name) or len(name) > TAG_NAME or name.startswith("__"):
            message = f"`{name}` is no label of a metric; right are up to {TAG_NAME} letters, digits and `_`"
            findings.error("bad-label", here, message)
        elif name in KEPT:
            findings.error("bad-label", here, f"the label {name} tells series apart, and stays what it is")
        elif name in OWNERS and tag.operation is not TagOperation.REMOVE:
            findings.error("bad-label", here, f"the label {name} says whose series it is; it can be removed only")
        if tag.operation is TagOperation.REMOVE:
            if tag.value:
                findings.error("one-of", (*here, "value"), "a label that is removed has no value")
        elif not tag.value:
            findings.error("missing-field", (*here, "value"), "UPSERT needs an expression, as request.host")
        else:
            _expression(parse_value, tag.value, (*here, "value"), findings)


def _logging(logging: AccessLogging, path: Path, findings: Findings) -> None:
    _providers(logging.providers, path, findings)
    if logging.match is not None and logging.match.mode is WorkloadMode.SERVER:
        message = "requests are logged where they are sent; what is said of the mode SERVER has no effect"
        findings.warning("unsupported-field", (*path, "match", "mode"), message)
    if logging.filter is not None:
        if not logging.filter.expression:
            findings.error("missing-field", (*path, "filter", "expression"), "a filter needs an expression")
        else:
            _expression(parse_filter, logging.filter.expression, (*path, "filter", "expression"), findings)


def _expression(parse: Callable[[str], CelNode], text: str, path: Path, findings: Findings) -> None:
    try:
        node = parse(text)
    except CelError as error:
        findings.bad_value("bad-expression", path, f"{error} (character {error.offset + 1} of the expression)")
        return
    if sum(len(names) for names in fields_of(node).values()) > FIELDS_LIMIT:
        findings.bad_value("bad-expression", path, f"an expression reads up to {FIELDS_LIMIT} fields")
