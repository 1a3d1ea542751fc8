"""One HTTP rule of a VirtualService as a rule of an HTTPRoute, with its matches, filters and backends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...config.base import Duration
from ...config.gatewayapi.routes import HTTPMethod
from ...config.meta import Path
from ...config.virtualservice import (
    CorsPolicy,
    Destination,
    HeaderOperations,
    Headers,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRoute,
    StringMatch,
)
from ...registry.snapshot import Service
from .notes import Notes

Manifest = dict[str, Any]

#: Names of Services, below which nothing but the cluster's own domain stands.
HOST = re.compile(r"([^.]+)(?:\.([^.]+)(?:\.svc(?:\..+)?)?)?")
METHODS = frozenset(HTTPMethod)
#: What a retry stanza retries in any case.
COVERED = frozenset({"connect-failure", "refused-stream", "reset", "reset-before-request", "retriable-status-codes"})
CODES = {"5xx": list(range(500, 512)), "gateway-error": [502, 503, 504]}


class RuleWriter:
    """Writes the rules of one VirtualService; `services` are those that are known, by host."""

    def __init__(self, namespace: str, notes: Notes, services: Mapping[str, tuple[Service, ...]], domain: str) -> None:
        self._namespace = namespace
        self._notes = notes
        self._services = services
        self._domain = domain

    def rule(self, route: HTTPRoute, path: Path) -> Manifest | None:
        """None where nothing is left of it."""
        for name, message in (
            ("delegate", "a delegate's rules have to be written out; attach a route of its namespace instead"),
            ("direct_response", "the Gateway API has no answers of its own"),
        ):
            if getattr(route, name) is not None:
                self._notes.lost((*path, "delegate" if name == "delegate" else "directResponse"), message)
                return None
        matches = [
            found
            for index, match in enumerate(route.match)
            if (found := self.match(match, (*path, "match", index))) is not None
        ]
        if route.match and not matches:
            self._notes.lost((*path, "match"), "no match is left, and so the rule is left out")
            return None
        rule: Manifest = {}
        if route.name and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", route.name):
            rule["name"] = route.name
        if matches and matches != [{}]:
            rule["matches"] = matches
        prefix = only_prefix(matches)
        filters = list(self._filters(route, prefix, path))
        if filters:
            rule["filters"] = filters
        backends = [
            self.backend(entry.destination, (*path, "route", index, "destination"), entry.weight, entry.headers)
            for index, entry in enumerate(route.route)
        ]
        if backends and route.redirect is None:
            rule["backendRefs"] = backends
        self._timing(route, rule, path)
        if route.fault is not None:
            self._notes.lost((*path, "fault"), "the Gateway API has no faults; keep the VirtualService for such tests")
        return rule

    # === matches

    def match(self, match: HTTPMatchRequest, path: Path) -> Manifest | None:
        for name, json in (
            ("scheme", "scheme"), ("authority", "authority"), ("source_labels", "sourceLabels"),
            ("source_namespace", "sourceNamespace"), ("without_headers", "withoutHeaders"), ("gateways", "gateways"),
            ("port", "port"),
        ):  # fmt: skip
            if getattr(match, name):
                hint = {
                    "authority": "; use the route's hostnames",
                    "port": "; use a parentRef with that port",
                    "gateways": "; write a route for each parent",
                    "source_namespace": "; a consumer route is for the clients of its own namespace",
                }.get(name, "")
                self._notes.lost((*path, json), f"routes cannot match by {json}{hint}; the match is left out")
                return None
        found: Manifest = {}
        if match.uri is not None:
            found["path"] = self._path(match, path)
        if match.method is not None:
            if match.method.exact not in METHODS:
                self._notes.lost(
                    (*path, "method"), "routes match one of nine methods by its name; the match is left out"
                )
                return None
            found["method"] = match.method.exact
        for field, json, values in (
            ("headers", "headers", match.headers),
            ("queryParams", "queryParams", match.query_params),
        ):
            if values:
                found[field] = [text_match(name, value) for name, value in values.items()]
                for name, value in values.items():
                    if value.exact is None and value.regex is None:
                        text = f"written as an expression: {found[field][-1]['value']}"
                        self._notes.note((*path, json, name), text)
        return found

    def _path(self, match: HTTPMatchRequest, path: Path) -> Manifest:
        uri = match.uri
        assert uri is not None
        if match.ignore_uri_case and uri.regex is None:  # of no effect on expressions (HTTPMatchRequest)
            text = re.escape(uri.exact) if uri.exact is not None else f"{re.escape(uri.prefix or '')}.*"
            self._notes.note((*path, "ignoreUriCase"), "written as an expression, which comes after plain paths")
            return {"type": "RegularExpression", "value": f"(?i){text}"}
        if uri.exact is not None:
            return {"type": "Exact", "value": uri.exact}
        if uri.regex is not None:
            return {"type": "RegularExpression", "value": uri.regex}
        prefix = uri.prefix or "/"
        if not prefix.startswith("/"):
            return {"type": "RegularExpression", "value": f"{re.escape(prefix)}.*"}
        if prefix != "/":
            stem = prefix.rstrip("/")
            text = f"PathPrefix counts whole segments: {stem} takes {stem}/x" + (
                f" and no more {stem}x" if not prefix.endswith("/") else f", and now {stem} itself too"
            )
            self._notes.note((*path, "uri"), text)
        return {"type": "PathPrefix", "value": prefix}

    # === filters

    def _filters(self, route: HTTPRoute, prefix: str | None, path: Path) -> Iterable[Manifest]:
        yield from self.header_filters(route.headers, (*path, "headers"))
        if route.redirect is not None:
            yield {"type": "RequestRedirect", "requestRedirect": self._redirect(route.redirect, prefix, path)}
        rewrite = route.rewrite
        if rewrite is not None and rewrite.uri_regex_rewrite is not None:
            self._notes.lost((*path, "rewrite", "uriRegexRewrite"), "paths cannot be rewritten by expressions")
        elif rewrite is not None:
            change: Manifest = {}
            if rewrite.authority:
                change["hostname"] = rewrite.authority
            if rewrite.uri:
                change["path"] = modifier(rewrite.uri, prefix)
            if change:
                yield {"type": "URLRewrite", "urlRewrite": change}
        if route.cors_policy is not None:
            yield {"type": "CORS", "cors": self._cors(route.cors_policy, (*path, "corsPolicy"))}
        mirrors: list[tuple[Destination | None, float]] = []
        if route.mirror is not None:
            share = route.mirror_percentage.value if route.mirror_percentage is not None else route.mirror_percent
            mirrors.append((route.mirror, 100.0 if share is None else float(share)))
        for entry in route.mirrors:
            share = entry.percentage.value if entry.percentage is not None else 100.0
            mirrors.append((entry.destination, share or 0.0))
        for destination, percent in mirrors:
            mirror: Manifest = {"backendRef": self.backend(destination, (*path, "mirror"), None, None)}
            if percent == int(percent):
                mirror |= {"percent": int(percent)} if percent < 100 else {}
            else:
                mirror["fraction"] = {"numerator": round(percent * 10_000), "denominator": 1_000_000}
            yield {"type": "RequestMirror", "requestMirror": mirror}

    def header_filters(self, headers: Headers | None, path: Path) -> Iterable[Manifest]:
        if headers is None:
            return
        for operations, side, kind, field in (
            (headers.request, "request", "RequestHeaderModifier", "requestHeaderModifier"),
            (headers.response, "response", "ResponseHeaderModifier", "responseHeaderModifier"),
        ):
            changes = self._changes(operations, (*path, side))
            if changes:
                yield {"type": kind, field: changes}

    def _changes(self, operations: HeaderOperations | None, path: Path) -> Manifest:
        found: Manifest = {}
        if operations is None:
            return found
        for verb, values in (("set", operations.set), ("add", operations.add)):
            for name, value in values.items():
                if re.search(r"%[A-Z]", value):
                    self._notes.lost((*path, verb, name), f"`{value}` has variables; values of routes are literal")
            if values:
                found[verb] = [{"name": name, "value": value.replace("%%", "%")} for name, value in values.items()]
        if operations.remove:
            found["remove"] = list(operations.remove)
        return found

    def _redirect(self, redirect: HTTPRedirect, prefix: str | None, path: Path) -> Manifest:
        found: Manifest = {}
        host, _, port = (redirect.authority or "").partition(":")
        if redirect.scheme:
            found["scheme"] = redirect.scheme
        if host:
            found["hostname"] = host
        if redirect.port or port:
            found["port"] = redirect.port or int(port)
        if redirect.prefix_rewrite is not None or redirect.uri:
            new = redirect.prefix_rewrite if redirect.prefix_rewrite is not None else redirect.uri or "/"
            found["path"] = modifier(new, prefix if redirect.prefix_rewrite is not None else None)
        code = redirect.redirect_code or 301
        if code not in (301, 302, 303, 307, 308):
            self._notes.lost((*path, "redirect", "redirectCode"), f"{code} is no redirect of a route; written as 302")
            code = 302
        return {**found, "statusCode": code}

    def _cors(self, cors: CorsPolicy, path: Path) -> Manifest:
        origins = list(cors.allow_origin)
        for index, origin in enumerate(cors.allow_origins):
            if origin.exact is not None:
                origins.append(origin.exact)
            else:
                text = f"`{origin.regex or origin.prefix}`: origins of routes are names with `*` for what stands left"
                self._notes.lost((*path, "allowOrigins", index), text)
        found: Manifest = {"allowOrigins": origins}
        for name, values in (
            ("allowMethods", cors.allow_methods),
            ("allowHeaders", cors.allow_headers),
            ("exposeHeaders", cors.expose_headers),
        ):
            if values:
                found[name] = list(values)
        if cors.allow_credentials:
            found["allowCredentials"] = True
        if cors.max_age:
            found["maxAge"] = max(1, cors.max_age // 1000)
        return found

    # === backends

    def backend(
        self, destination: Destination | None, path: Path, weight: int | None, headers: Headers | None
    ) -> Manifest:
        host = (destination.host or "") if destination is not None else ""
        named, known = self.service_name(host), self.known(host)
        found: Manifest
        if named is None:
            found = {"group": "networking.istio.io", "kind": "Hostname", "name": host}
        else:
            name, namespace = named
            found = {"name": name}
            if namespace != self._namespace:
                found["namespace"] = namespace
                text = f"at a Gateway this needs a ReferenceGrant in {namespace}; routes of Services need none"
                self._notes.note(path, text)
        if destination is not None and destination.subset:
            found["name"] = f"{found['name']}-{destination.subset}"
            text = (
                f"a route names Services, not subsets: make Service {found['name']} with the labels of subset "
                f"{destination.subset}"
            )
            self._notes.lost((*path, "subset"), text)
        port = destination.port.number if destination is not None and destination.port is not None else None
        if port is None and known is not None and len(known.ports) == 1:
            port = known.ports[0].number
        if port is None:
            self._notes.lost((*path, "port"), f"a backend needs the Service's port: which one of {host}? Written as 80")
        found["port"] = port or 80
        if weight is not None:
            found["weight"] = weight
        filters = list(self.header_filters(headers, (*path[:-1], "headers")))
        return {**found, "filters": filters} if filters else found

    def service_name(self, host: str) -> tuple[str, str] | None:
        """Name and namespace of the Service that a host means; None for other hosts."""
        known = self.known(host)
        if known is not None:
            return (known.name, known.namespace) if known.kind == "Service" else None
        named = HOST.fullmatch(host)
        if named is None or "*" in host or ("." in host and ".svc" not in host):
            return None
        return named[1], named[2] or self._namespace

    def known(self, host: str) -> Service | None:
        full = f"{host}.{self._namespace}.svc.{self._domain}" if "." not in host else host
        for name in (full, f"{full}.svc.{self._domain}", f"{full}.{self._domain}"):
            if self._services.get(name):
                return self._services[name][0]
        return None

    # === time

    def _timing(self, route: HTTPRoute, rule: Manifest, path: Path) -> None:
        timeouts: Manifest = {}
        if route.timeout is not None:
            timeouts["request"] = written(route.timeout)
        retries = route.retries
        if retries is not None and not retries.attempts:
            self._notes.lost((*path, "retries", "attempts"), "retries cannot be switched off by a route")
        elif retries is not None:
            retry: Manifest = {"attempts": retries.attempts}
            codes: set[int] = set()
            for token in (part.strip() for part in (retries.retry_on or "").split(",")):
                if token.isdigit():
                    codes.add(int(token))
                elif token in CODES:
                    codes.update(CODES[token])
                elif token and token not in COVERED:
                    self._notes.lost((*path, "retries", "retryOn"), f"routes cannot retry on {token}")
            if codes:
                retry["codes"] = sorted(codes)
            if retries.backoff:
                retry["backoff"] = written(retries.backoff)
            rule["retry"] = retry
            if retries.per_try_timeout:
                timeouts["backendRequest"] = written(retries.per_try_timeout)
        if timeouts:
            rule["timeouts"] = timeouts


def only_prefix(matches: list[Manifest]) -> str | None:
    """The prefix that all requests of the rule begin with, where there is one match and it has one."""
    if not matches:
        return "/"
    if len(matches) != 1:
        return None
    path = matches[0].get("path", {"type": "PathPrefix", "value": "/"})
    return str(path["value"]) if path["type"] == "PathPrefix" else None


def modifier(new: str, prefix: str | None) -> Manifest:
    if prefix is not None:
        return {"type": "ReplacePrefixMatch", "replacePrefixMatch": new}
    return {"type": "ReplaceFullPath", "replaceFullPath": new}


def text_match(name: str, match: StringMatch) -> Manifest:
    if match.exact is not None:
        return {"name": name, "value": match.exact}
    if match.regex is not None and match.regex != "*":
        return {"type": "RegularExpression", "name": name, "value": match.regex}
    text = f"{re.escape(match.prefix)}.*" if match.prefix else ".*"
    return {"type": "RegularExpression", "name": name, "value": text}


def written(duration: Duration) -> str:
    """In GEP-2257's form: at most five digits of each unit."""
    milliseconds = int(duration)
    if milliseconds % 1000:
        seconds, rest = divmod(milliseconds, 1000)
        return f"{seconds}s{rest}ms" if seconds else f"{rest}ms"
    seconds = milliseconds // 1000
    return f"{seconds}s" if seconds < 100_000 else f"{seconds // 3600}h"
