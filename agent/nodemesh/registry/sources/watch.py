"""The API server's wire format: list pages and watch events, as far as they must be understood to be passed on."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

#: The longest line of a watch: etcd takes no object above 1.5 MiB, and JSON may be larger than what is stored.
MAX_LINE = 16 * 2**20

#: The annotation on the bookmark that ends a watch's initial events (KEP-3157).
INITIAL_EVENTS_END = "k8s.io/initial-events-end"

T = TypeVar("T")


class ApiFormatError(Exception):
    """What came is not what an API server says."""


class ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    """meta/v1 ListMeta."""

    resource_version: str = ""
    next: str = msgspec.field(default="", name="continue")


class ListPage(msgspec.Struct, frozen=True, rename="camel"):
    """A list, or one chunk of it."""

    metadata: ListMeta = ListMeta()
    items: tuple[msgspec.Raw, ...] | None = None
    api_version: str = ""
    kind: str = ""


class ObjectHead(msgspec.Struct, frozen=True, rename="camel"):
    """The part of an object's metadata by which it is filed."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    annotations: dict[str, str] | None = None


class Headed(msgspec.Struct, frozen=True, rename="camel"):
    metadata: ObjectHead = ObjectHead()


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """meta/v1 Status: how an API server says no."""

    code: int = 0
    reason: str = ""
    message: str = ""
    metadata: ListMeta = ListMeta()


class WatchEvent(msgspec.Struct, frozen=True):
    """One line of a watch. `object` is undecoded."""

    type: str
    object: msgspec.Raw


class JsonDecoder(Generic[T]):
    """JSON of one shape, which `name` is the word for; raises ApiFormatError."""

    def __init__(self, kind: type[T], name: str) -> None:
        self._decoder = msgspec.json.Decoder(kind)
        self._name = name

    def __call__(self, data: bytes | msgspec.Raw) -> T:
        try:
            return self._decoder.decode(data)
        except msgspec.DecodeError as error:
            raise ApiFormatError(f"the API server's answer is not {self._name}: {error}") from None


read_page = JsonDecoder(ListPage, "a list")
read_event = JsonDecoder(WatchEvent, "an event of a watch")
read_head = JsonDecoder(Headed, "an object")
read_status = JsonDecoder(Status, "a Status")


class Lines:
    """Cuts a stream into lines; what stands behind the last newline waits for more."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, empty ones left out. Raises ApiFormatError where a line has no end."""
        first, *rest = data.split(b"\n")
        self._parts.append(first)
        self._size += len(first)
        if self._size > self._limit:
            raise ApiFormatError(f"the API server sent a line of more than {self._limit} bytes")
        if not rest:
            return []
        lines = [b"".join(self._parts), *rest[:-1]]
        self._parts, self._size = [rest[-1]], len(rest[-1])
        return [line for line in lines if line.strip()]


def decode_object(data: bytes | msgspec.Raw) -> dict[str, Any]:
    """An object as plain data. Raises ApiFormatError."""
    try:
        found = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise ApiFormatError(f"the API server sent an object that is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ApiFormatError(f"the API server sent a {type(found).__name__} where an object belongs")
    return found
