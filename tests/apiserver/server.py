"""The requests: lists in chunks, watches with bookmarks, creation, change and deletion, and faults in all of them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections import deque
from typing import Any, NamedTuple

import yaml
from aiohttp import web

from . import defaults, discovery, portforward, rights, schemas
from .etcd import Change, Conflict, Data, Etcd, encode, key_of, partial
from .faults import Faults
from .kinds import BUILT_IN, Kind, Kinds, Target, mesh_kinds

REASONS = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired",
    422: "Invalid", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout",
}  # fmt: skip


class Refused(Exception):
    """A request that is answered with a Status."""

    def __init__(self, code: int, message: str, reason: str = "", retry_after: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason or REASONS.get(code, "")
        self.retry_after = retry_after


def status(code: int, message: str, reason: str = "") -> Data:
    named = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return {**named, "message": message, "reason": reason or REASONS.get(code, ""), "code": code}


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str
    query: dict[str, str]


class ApiServer:
    """One cluster. `requests` counts what was asked, by method (or "watch") and path, `asked` has the newest of it in
    full. `accounts` has the service
    account, `namespace/name`, behind each bearer token; where there is none, everybody may do everything."""

    def __init__(self, *, with_mesh: bool = True) -> None:
        self.etcd = Etcd()
        self.faults = Faults()
        self.kinds = Kinds(BUILT_IN)
        self.requests: dict[tuple[str, str], int] = {}
        self.asked: deque[Asked] = deque(maxlen=1000)
        self.accounts: dict[str, str] = {}
        self.forwards: dict[tuple[str, str], tuple[str, int]] = {}  # where a pod's ports are, by namespace and name
        self.sent = 0  # bytes of watches and lists
        self._watches: dict[int, web.Request] = {}
        if with_mesh:
            for kind in mesh_kinds():
                self.kinds.add(kind)

    def application(self) -> web.Application:
        """A new one each time: aiohttp serves an application once."""
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self.handle)
        return app

    # for tests

    def apply(self, *objects: Data) -> None:
        """Put objects in place, whatever was there."""
        for data in objects:
            kind = self.kinds.of(data["kind"], data["apiVersion"].rpartition("/")[0])
            self.etcd.put(kind.store, self._versioned(kind, self._complete(kind, data)))

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        found = self.kinds.of(kind)
        self.etcd.delete(found.store, (namespace if found.namespaced else "", name))

    def objects(self, kind: str, group: str | None = None) -> list[Data]:
        return self.etcd.all(self.kinds.of(kind, group).store)

    def cut(self) -> int:
        """Break every watch's connection; how many there were."""
        watches = list(self._watches.values())
        for request in watches:
            if request.transport is not None:
                request.transport.abort()
        return len(watches)

    @property
    def watching(self) -> int:
        return len(self._watches)

    # requests

    async def handle(self, request: web.Request) -> web.StreamResponse:
        watch = request.query.get("watch") in ("true", "1")
        row = ("watch" if watch else request.method, request.path)
        self.requests[row] = self.requests.get(row, 0) + 1
        self.asked.append(Asked(*row, dict(request.query)))
        try:
            self._admit(request, watch)
            found = discovery.answer(request.path, self.kinds) if request.method == "GET" else None
            if found is not None:
                return web.json_response(found)
            if request.path == rights.TOKEN_REVIEWS:
                return web.json_response(rights.reviewed(self.accounts, await body_of(request)), status=201)
            target = self.kinds.target(request.path)
            if target is None:
                raise Refused(404, "the server could not find the requested resource")
            self._authorize(request, target)
            if target.part == "portforward":
                self._authorize(request, target, "create")  # from 1.35 on, for WebSockets as well
                return await portforward.forward(request, self.forwards.get((target.namespace, target.name)))
            if request.method == "GET" and not target.name:
                return await (self._watch(request, target) if watch else self._list(request, target))
            return await self._one(request, target)
        except Refused as refused:
            headers = {"Retry-After": str(refused.retry_after)} if refused.retry_after else None
            body = status(refused.code, str(refused), refused.reason)
            return web.json_response(body, status=refused.code, headers=headers)

    def _admit(self, request: web.Request, watch: bool) -> None:
        token = self.faults.token
        if token and request.headers.get("Authorization", "").lower() != f"bearer {token}".lower():
            raise Refused(401, "Unauthorized")
        refusal = self.faults.refusal(request.path, watch)
        if refusal is not None:
            raise Refused(refusal.status, refusal.message, retry_after=refusal.retry_after)

    def _authorize(self, request: web.Request, target: Target, verb: str = "") -> None:
        if not self.accounts:
            return
        account = self.accounts.get(request.headers.get("Authorization", "").partition(" ")[2])
        if account is None:
            raise Refused(401, "Unauthorized")
        access = rights.access_of(request.method, request.query, target)
        why = rights.refusal(self.etcd, account, access._replace(verb=verb) if verb else access)
        if why:
            raise Refused(403, why)

    # lists

    async def _list(self, request: web.Request, target: Target) -> web.StreamResponse:
        faults, query = self.faults, request.query
        await asyncio.sleep(faults.pause)
        revision, after = str(self.etcd.revision), None
        if "continue" in query:
            if faults.lose_continue > 0:
                faults.lose_continue -= 1
                raise Refused(410, "The provided continue parameter is too old", "Expired")
            revision, *after = json.loads(base64.b64decode(query["continue"]))
        rows = [data for data in self.etcd.all(target.kind.store, target.namespace) if selected(data, query)]
        if after is not None:
            rows = [data for data in rows if key_of(data) > tuple(after)]
        limit = int(query.get("limit", "0"))
        more = ""
        if limit and len(rows) > limit:
            rows = rows[:limit]
            more = base64.b64encode(json.dumps([revision, *key_of(rows[-1])]).encode()).decode()
        meta = {"resourceVersion": revision, **({"continue": more} if more else {})}
        if "PartialObjectMetadata" in request.headers.get("Accept", ""):
            kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
            items = [partial(data) for data in rows]
        else:
            kind, version = f"{target.kind.kind}List", target.kind.api_version
            items = [{key: value for key, value in data.items() if key not in ("apiVersion", "kind")} for data in rows]
        body = encode({"kind": kind, "apiVersion": version, "metadata": meta, "items": items})
        self.sent += len(body)
        if faults.cut_lists > 0:
            faults.cut_lists -= 1
            await broken(request, body)
        return web.Response(body=body, content_type="application/json")

    # watches

    async def _watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        query = request.query
        initial = query.get("sendInitialEvents") == "true"
        if initial and not self.faults.watch_lists:
            message = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
            raise Refused(422, message)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        self._watches[id(request)] = request
        try:
            with contextlib.suppress(ConnectionResetError):  # the client has gone, or was cut off
                await self._follow(request, response, target, initial)
        finally:
            del self._watches[id(request)]
        return response

    async def _follow(self, request: web.Request, response: web.StreamResponse, target: Target, initial: bool) -> None:
        query, faults, store = request.query, self.faults, target.kind.store
        clock = asyncio.get_running_loop().time
        end = clock() + min(float(query.get("timeoutSeconds", "3600")), faults.watch_seconds)
        metadata = "PartialObjectMetadata" in request.headers.get("Accept", "")
        given = query.get("resourceVersion", "")
        revision = int(given) if given not in ("", "0") else self.etcd.revision
        if initial:
            revision = self.etcd.revision
            rows = [data for data in self.etcd.all(store, target.namespace) if selected(data, query)]
            for start in range(0, len(rows), 200):
                lines = [event("ADDED", of_kind(data, target.kind), metadata) for data in rows[start : start + 200]]
                await self._write(response, lines)
            await self._write(response, [bookmark(target.kind, revision, metadata, initial=True)])
        due = clock() + faults.bookmark_seconds
        while clock() < end:
            changes = self.etcd.since(revision, store)
            if changes is None:
                gone = f"too old resource version: {revision} ({self.etcd.compacted})"
                await self._write(response, [encode({"type": "ERROR", "object": status(410, gone, "Expired")}) + b"\n"])
                return
            revision = self.etcd.revision
            lines = [line for change in changes if (line := self._line(change, target, query, metadata))]
            if clock() >= due:
                due = clock() + faults.bookmark_seconds
                lines.append(bookmark(target.kind, revision, metadata))
            if lines:
                await self._write(response, lines)
            else:
                await self.etcd.wait(max(0.0, min(end, due) - clock()), store)
        await self._write(response, [bookmark(target.kind, revision, metadata)])

    def _line(self, change: Change, target: Target, query: Any, metadata: bool) -> bytes:
        """The event that a watch with a selector sees of a change; empty where it sees none."""
        if target.namespace and change.data["metadata"].get("namespace") != target.namespace:
            return b""
        was = change.before is not None and selected(change.before, query)
        is_now = change.type != "DELETED" and selected(change.data, query)
        if not was and not is_now:
            return b""
        kind = "MODIFIED" if was and is_now else "ADDED" if is_now else "DELETED"
        if self.faults.garbage > 0:
            self.faults.garbage -= 1
            return b'{"type":"MODIFIED","object":{"metadata":{"name":\n'
        return event(kind, of_kind(change.data, target.kind), metadata)

    async def _write(self, response: web.StreamResponse, lines: list[bytes]) -> None:
        for line in lines if self.faults.pause else [b"".join(lines)]:
            await asyncio.sleep(self.faults.pause)
            self.sent += len(line)
            await response.write(line)

    # single objects

    async def _one(self, request: web.Request, target: Target) -> web.Response:
        store, key = target.kind.store, (target.namespace, target.name)
        if target.part and not (target.part == "status" and target.kind.status):
            raise Refused(404, "the server could not find the requested resource")
        found = self.etcd.get(store, key) if target.name else None
        applied = request.method == "PATCH" and "apply" in request.content_type
        if target.name and found is None and not applied:
            raise Refused(404, f'{target.kind.plural} "{target.name}" not found')
        match request.method:
            case "GET":
                return web.json_response(found)
            case "DELETE":
                self.etcd.delete(store, key)
                return web.json_response({"kind": "Status", "apiVersion": "v1", "status": "Success"})
            case "POST":
                data = self._checked(target, await body_of(request))
                key = key_of(data)
                if self.etcd.get(store, key) is not None:
                    raise Refused(409, f'{target.kind.plural} "{key[1]}" already exists', "AlreadyExists")
                return web.json_response(self._stored(target, data), status=201)
            case "PUT":
                return web.json_response(self._stored(target, self._checked(target, await body_of(request))))
            case "PATCH":
                data = self._checked(target, merged(found or {}, await body_of(request)))
                return web.json_response(self._stored(target, data))
        raise Refused(405, f"{request.method} is not supported")

    def _checked(self, target: Target, data: Data) -> Data:
        """A complete and valid object. Built-in kinds are held against their schemas, as with strict validation."""
        if data.get("kind") != target.kind.kind:
            raise Refused(400, f"the object is a {data.get('kind')}, the path says {target.kind.kind}")
        data = self._complete(target.kind, data, target.namespace)
        wrong = schemas.errors(data)
        if wrong:
            raise Refused(400, f"strict decoding error: {', '.join(wrong)}")
        return data

    @staticmethod
    def _complete(kind: Kind, data: Data, namespace: str = "") -> Data:
        meta = dict(data["metadata"])
        if kind.namespaced:
            meta.setdefault("namespace", namespace or "default")
        else:
            meta.pop("namespace", None)
        return defaults.completed({**data, "metadata": meta})

    def _stored(self, target: Target, data: Data) -> Data:
        expected = data["metadata"].get("resourceVersion", "")
        data = self._versioned(target.kind, data, target.part)
        try:
            stored = self.etcd.put(target.kind.store, data, expected=expected)
        except Conflict as conflict:
            raise Refused(409, str(conflict)) from None
        if target.kind.kind == "CustomResourceDefinition":
            self._serve(stored)
        return stored

    def _versioned(self, kind: Kind, data: Data, part: str = "") -> Data:
        """Of a kind with the status subresource: what is written by one path changes nothing of what the other writes,
        and the generation counts the changes of all but the status and the metadata (CRDs, "Status subresource")."""
        if not kind.status:
            return data
        before = self.etcd.get(kind.store, key_of(data))
        if before is not None and part == "status":
            return {**before, "status": data.get("status")}
        kept = {"status": before["status"]} if before is not None and "status" in before else {}
        data = {name: value for name, value in data.items() if name != "status"} | kept
        generation = before["metadata"]["generation"] if before is not None else 0
        if before is None or any(data.get(name) != before.get(name) for name in {*data, *before} - {"metadata"}):
            generation += 1
        return {**data, "metadata": {**data["metadata"], "generation": generation}}

    def _serve(self, crd: Data) -> None:
        """Serve what a CRD defines, and say so in its status as kubectl expects it."""
        spec = crd["spec"]
        for version in spec["versions"]:
            names = spec["names"]
            has_status = "status" in version.get("subresources", {})
            self.kinds.add(
                Kind(
                    spec["group"], version["name"], names["kind"], names["plural"], spec["scope"] == "Namespaced",
                    has_status,
                )
            )  # fmt: skip


def selected(data: Data, query: Any) -> bool:
    """fieldSelector (spec.nodeName, metadata.name) and labelSelector, as far as equality goes."""
    for part in filter(None, query.get("fieldSelector", "").split(",")):
        field, _, wanted = part.partition("=")
        found: Any = data
        for name in field.split("."):
            found = (found or {}).get(name)
        if (found or "") != wanted.lstrip("="):
            return False
    labels = data["metadata"].get("labels") or {}
    pairs = [part.partition("=") for part in query.get("labelSelector", "").split(",") if part]
    return all(labels.get(key) == value.lstrip("=") for key, _, value in pairs)


def of_kind(data: Data, kind: Kind) -> Data:
    return {**data, "apiVersion": kind.api_version, "kind": kind.kind}


def event(kind: str, data: Data, metadata: bool) -> bytes:
    return encode({"type": kind, "object": partial(data) if metadata else data}) + b"\n"


def bookmark(kind: Kind, revision: int, metadata: bool, *, initial: bool = False) -> bytes:
    annotations = {"k8s.io/initial-events-end": "true"} if initial else None
    meta = {"resourceVersion": str(revision), "creationTimestamp": None, "annotations": annotations}
    named = {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata"} if metadata else {}
    data = {"kind": kind.kind, "apiVersion": kind.api_version, **named, "metadata": meta}
    return encode({"type": "BOOKMARK", "object": data}) + b"\n"


async def body_of(request: web.Request) -> Data:
    """JSON, or the YAML of server-side apply."""
    text = await request.text()
    if "json-patch+json" in request.content_type:
        raise Refused(415, "JSON Patch is not supported")
    return yaml.safe_load(text)


def merged(data: Data, patch: Data) -> Data:
    """JSON Merge Patch (RFC 7396)."""
    found = dict(data)
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key] = merged(found[key], value)
        else:
            found[key] = value
    return found


async def broken(request: web.Request, body: bytes) -> None:
    """Send half of a body, then cut the connection."""
    response = web.StreamResponse(headers={"Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError
