import msgspec
import pytest
from tests.meshes import bookinfo, make, pod

from nodemesh.config.base import Base64, Duration
from nodemesh.registry.assemble import key_of
from nodemesh.registry.store import Store
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.wire import ENCODER, WireError, apply_update, decode_scalar, encode_scalar, encode_update


def rules(**spec):
    return make("VirtualService", "reviews", {"hosts": ["reviews"], "http": [{"redirect": {"uri": "/"}}], **spec})


def test_complete_tables_arrive_whole():
    gateway = make("Gateway", "gw", {"selector": {"a": "b"}, "servers": [{"hosts": ["*"], "port": {"number": 80}}]})
    tables = compile_tables(Store().apply("t", [*bookinfo(), rules(), gateway]))
    arrived = apply_update(None, encode_update(None, tables))
    assert (arrived.version, arrived.causes, arrived.mesh) == (tables.version, tables.causes, tables.mesh)
    assert dict(arrived.services) == tables.services and arrived.addresses == tables.addresses
    assert arrived.virtual_services == tables.virtual_services and arrived.gateways == tables.gateways
    assert arrived.destination_rules == tables.destination_rules


def test_a_difference_is_small_and_leaves_the_rest_the_same_objects():
    store = Store()
    first = compile_tables(store.apply("t", [*bookinfo(), rules()]))
    second = compile_tables(store.apply("t", [pod("ratings-v1", "10.1.0.8", {"app": "ratings"})]), first)
    here = apply_update(None, encode_update(None, first))
    kept = here.services["reviews.default.svc.cluster.local"]
    data = encode_update(first, second)
    after = apply_update(here, data)
    assert len(data) < len(encode_update(None, second)) / 3
    assert after.services["reviews.default.svc.cluster.local"] is kept
    assert after.virtual_services is here.virtual_services
    (ratings,) = after.services["ratings.default.svc.cluster.local"]
    assert [endpoint.address for endpoint in ratings.endpoints[9080]] == ["10.1.0.8"]


def test_what_is_removed_is_gone():
    store = Store()
    first = compile_tables(store.apply("t", [*bookinfo(), rules()]))
    gone = [key_of(item) for item in (*bookinfo(), rules()) if item.kind in ("Service", "VirtualService")]
    second = compile_tables(store.apply("t", removed=gone), first)
    after = apply_update(apply_update(None, encode_update(None, first)), encode_update(first, second))
    assert not after.services and not after.virtual_services and not after.virtual_hosts and not after.addresses
    assert "reviews.default.svc.cluster.local" not in after.services and after.destination_rules


def test_an_update_for_other_tables_is_refused():
    store = Store()
    first = compile_tables(store.apply("t", bookinfo()))
    second = compile_tables(store.apply("t", [rules()]), first)
    data = encode_update(first, second)
    with pytest.raises(WireError, match="version 1"):
        apply_update(None, data)
    with pytest.raises(WireError, match="cannot be read"):
        apply_update(None, b"\x93\x01")


class Scalars(msgspec.Struct):
    """The two types that msgpack does not know."""

    time: Duration | None = None
    body: Base64 | None = None


def travelled(scalars):
    return msgspec.msgpack.Decoder(Scalars, dec_hook=decode_scalar).decode(ENCODER.encode(scalars))


@pytest.mark.parametrize("milliseconds", [0, 1, 1500, 86_400_000, 315_576_000_000_000])
def test_durations_travel_in_milliseconds(milliseconds):
    arrived = travelled(Scalars(time=Duration(milliseconds))).time
    assert (type(arrived), arrived) == (Duration, milliseconds)
    assert msgspec.msgpack.decode(ENCODER.encode(Duration(milliseconds))) == milliseconds


@pytest.mark.parametrize("body", [b"", b"teapot", bytes(range(256))])
def test_bytes_travel_raw_and_not_in_base64(body):
    arrived = travelled(Scalars(body=Base64(body))).body
    assert (type(arrived), arrived) == (Base64, body)
    assert msgspec.msgpack.decode(ENCODER.encode(Base64(body))) == body


def test_what_is_unset_stays_unset():
    assert travelled(Scalars()) == Scalars()


def test_durations_and_bytes_arrive_inside_tables():
    response = {"status": 200, "body": {"bytes": b"\x00\xff"}}
    http = [{"directResponse": response}, {"timeout": 1.5, "route": [{"destination": {"host": "reviews"}}]}]
    item = make("VirtualService", "reviews", {"hosts": ["reviews"], "http": http})
    arrived = apply_update(None, encode_update(None, compile_tables(Store().apply("t", [item]))))
    first, second = arrived.virtual_services["default/reviews"].http
    assert first.route.direct_response.body.bytes == b"\x00\xff"
    assert second.route.timeout == Duration(1500)


def test_other_types_do_not_travel():
    with pytest.raises(NotImplementedError, match="complex does not travel"):
        encode_scalar(1j)
    with pytest.raises(NotImplementedError, match="complex does not travel"):
        decode_scalar(complex, 1)
