"""Delegation: a root VirtualService's rule merged with the rules of the VirtualService that it delegates to."""

from __future__ import annotations

from msgspec.structs import replace

from ..config.virtualservice import HTTPMatchRequest, HTTPRoute, StringMatch

#: What the delegate's rule takes over from the root's where it has none of its own (whole values, never merged).
INHERITED = (
    "rewrite",
    "direct_response",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirror_percent",
    "mirror_percentage",
    "mirrors",
    "cors_policy",
    "headers",
)


#: Pairs of matches that one root's rules and those of its delegates may make together: each of the ones is joined with
#: each of the others, so that two objects of 200 KB would make ten million.
PAIRS = 10_000


class PairCount:
    """Counts the pairs of one root, rule by rule."""

    def __init__(self) -> None:
        self._left = PAIRS

    def takes(self, root: HTTPRoute, delegate: HTTPRoute) -> bool:
        """Whether there is room for the pairs of one rule of each; else the delegate's falls."""
        pairs = max(len(root.match), 1) * max(len(delegate.match), 1)
        if pairs > self._left:
            return False
        self._left -= pairs
        return True


def merge_route(root: HTTPRoute, delegate: HTTPRoute) -> HTTPRoute | None:
    """The delegate's rule under the root's, None if their matches contradict each other."""
    matches = merge_matches(root.match, delegate.match)
    if matches is None:
        return None
    taken = {field: getattr(root, field) for field in INHERITED if getattr(delegate, field) in (None, ())}
    name = "-".join(part for part in (root.name, delegate.name) if part)
    return replace(delegate, match=matches, name=name or None, **taken)


def merge_matches(
    root: tuple[HTTPMatchRequest, ...], delegate: tuple[HTTPMatchRequest, ...]
) -> tuple[HTTPMatchRequest, ...] | None:
    """The delegate's in their order, each joined with all of the root's that let it through; None where one of them is
    let through by none: the whole rule falls. An empty list on one side leaves the other's."""
    if not root:
        return delegate
    if not delegate:
        return root
    merged: list[HTTPMatchRequest] = []
    for inner in delegate:
        found = [match for outer in root if (match := merge_match(outer, inner)) is not None]
        if not found:
            return None
        merged += found
    return tuple(merged)


def merge_match(root: HTTPMatchRequest, delegate: HTTPMatchRequest) -> HTTPMatchRequest | None:
    if conflicts(root, delegate):
        return None
    return HTTPMatchRequest(
        name="-".join(part for part in (root.name, delegate.name) if part) or None,
        uri=delegate.uri or root.uri,
        scheme=delegate.scheme or root.scheme,
        method=delegate.method or root.method,
        authority=delegate.authority or root.authority,
        headers={**root.headers, **delegate.headers},
        without_headers={**root.without_headers, **delegate.without_headers},
        query_params={**root.query_params, **delegate.query_params},
        port=delegate.port or root.port,
        source_labels={**root.source_labels, **delegate.source_labels},
        source_namespace=delegate.source_namespace or root.source_namespace,
        gateways=delegate.gateways or root.gateways,
        ignore_uri_case=delegate.ignore_uri_case,
        stat_prefix=delegate.stat_prefix or root.stat_prefix,
    )


def conflicts(root: HTTPMatchRequest, delegate: HTTPMatchRequest) -> bool:
    """The delegate must ask for a subset of what the root lets through."""
    if bool(root.ignore_uri_case) != bool(delegate.ignore_uri_case):
        return True
    for outer, inner in (
        (root.uri, delegate.uri),
        (root.scheme, delegate.scheme),
        (root.method, delegate.method),
        (root.authority, delegate.authority),
    ):
        if strings_conflict(outer, inner):
            return True
    for outer_map, inner_map in (
        (root.headers, delegate.headers),
        (root.without_headers, delegate.without_headers),
        (root.query_params, delegate.query_params),
    ):
        if any(strings_conflict(outer_map[name], inner_map[name]) for name in outer_map.keys() & inner_map.keys()):
            return True
    if root.port and delegate.port and root.port != delegate.port:
        return True
    if root.source_namespace and root.source_namespace != delegate.source_namespace:
        return True
    shared = root.source_labels.keys() & delegate.source_labels.keys()
    if any(root.source_labels[key] != delegate.source_labels[key] for key in shared):
        return True
    return bool(root.gateways) and not set(delegate.gateways) <= set(root.gateways)


def strings_conflict(root: StringMatch | None, delegate: StringMatch | None) -> bool:
    """Whether `delegate` might match what `root` does not, as far as Istio can tell: beside a regex, and where the root
    only wants something to be there, nothing is let through."""
    if root is None or delegate is None:
        return False
    if root.regex or delegate.regex:
        return True
    if root.exact:
        return delegate.exact != root.exact
    wanted = delegate.prefix or delegate.exact or ""
    return not root.prefix or not wanted.startswith(root.prefix)
