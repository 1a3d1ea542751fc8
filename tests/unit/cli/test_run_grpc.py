"""gRPC through the running agent, with the clients and servers that people have: grpcio, grpclib, curl and h2load."""

import asyncio
import queue
import subprocess
from collections.abc import Iterator

import grpc
import pytest
from grpclib.client import Channel, StreamStreamMethod, UnaryUnaryMethod
from grpclib.encoding.base import CodecBase
from tests.unit.cli.grpc_service import DETAIL, LATE, Caller, GrpcClient, GrpcPod, path
from tests.unit.cli.mesh import Mesh, cluster, until

CALLS = 10_000
AUTHORITY = "reviews:9080"


@pytest.fixture(scope="module")
def pods() -> Iterator[list[GrpcPod]]:
    pods = [GrpcPod(name) for name in ("v1", "v2", "v3")]
    yield pods
    for pod in pods:
        pod.close()


@pytest.fixture(scope="module")
def mesh(tmp_path_factory, pods) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("grpc") / "config"
    folder.mkdir()
    (folder / "mesh.yaml").write_text(cluster(*pods, port_name="grpc"))
    with Mesh(folder) as running:
        yield running


@pytest.fixture
def client(mesh) -> Iterator[GrpcClient]:
    with GrpcClient(mesh.exposed[AUTHORITY], AUTHORITY) as client:
        yield client


def test_every_kind_of_call(client):
    answer, call = client.unary().with_call(b"hi", timeout=10)
    pod = answer.decode().partition(":")[0]
    assert answer == f"{pod}:hi".encode() and dict(call.trailing_metadata())["x-pod"] == pod
    assert list(client.down()(b"100", timeout=10)) == [b"%d" % number for number in range(100)]
    assert client.up()(iter([bytes(1000)] * 300), timeout=10) == b"300 300000"


def test_both_sides_speak_at_once(client):
    """Each message is answered before the next is sent: nothing on the way waits for the end of anything."""
    words: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    answers = client.both()(iter(words.get, b""), timeout=10)
    for word in (b"one", b"two", b"three"):
        words.put(word)
        assert next(answers) == word.upper()
    words.put(b"")
    assert list(answers) == []


def test_a_large_message_passes_every_window(client):
    large = bytes(range(256)) * 8192  # 2 MiB, more than any window
    answer = client.unary()(large, timeout=20)
    assert answer.partition(b":")[2] == large


def test_a_status_and_its_detail(client):
    with pytest.raises(grpc.RpcError) as raised:
        client.unary("Fail")(b"", timeout=10)
    assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.FAILED_PRECONDITION, DETAIL)


def test_a_deadline_reaches_the_server(client, pods):
    with pytest.raises(grpc.RpcError) as raised:
        client.unary("Wait")(b"", timeout=0.5)
    assert raised.value.code() in LATE
    (waited,) = [pod for pod in pods if pod.remaining]
    assert 0 < waited.remaining[0] < 1  # the client rounds what it sends
    assert waited.gone.wait(10)
    waited.remaining.clear()
    waited.gone.clear()


def test_a_cancelled_call_ends_at_the_server(client, pods):
    call = client.unary("Wait").future(b"", timeout=20)
    waiting = until(lambda: [pod for pod in pods if pod.remaining])[0]
    call.cancel()
    assert waiting.gone.wait(10)
    waiting.remaining.clear()
    waiting.gone.clear()


def test_one_connections_calls_are_spread_over_all_pods(mesh, pods, tmp_path):
    before = [pod.calls["Unary"] for pod in pods]
    body = tmp_path / "message"
    body.write_bytes(b"\0\0\0\0\2hi")
    done = subprocess.run(
        ["h2load", "-n", str(CALLS), "-c", "1", "-m", "32", "-d", str(body), "-H", "content-type: application/grpc",
         "-H", "te: trailers", "-H", f":authority: {AUTHORITY}",
         f"http://127.0.0.1:{mesh.exposed[AUTHORITY]}{path('Unary')}"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert f"{CALLS} succeeded, 0 failed, 0 errored" in done.stdout, done.stdout
    got = [pod.calls["Unary"] - earlier for pod, earlier in zip(pods, before, strict=True)]
    assert sum(got) == CALLS and min(got) > CALLS * 0.2, got
    until(lambda: mesh.metric("istio_requests_total", request_protocol="grpc", grpc_response_status="0") >= CALLS)


class PlainCodec(CodecBase):
    """Messages are bytes."""

    __content_subtype__ = "proto"

    def encode(self, message: bytes, message_type: type) -> bytes:
        return message

    def decode(self, data: bytes, message_type: type) -> bytes:
        return data


def test_grpclib(mesh):
    async def scenario() -> None:
        channel = Channel("127.0.0.1", mesh.exposed[AUTHORITY], codec=PlainCodec())
        channel._authority = AUTHORITY
        try:
            unary = UnaryUnaryMethod(channel, path("Unary"), bytes, bytes)
            answers = await asyncio.gather(*(unary(b"hi", timeout=10) for _ in range(30)))
            assert {answer.partition(b":")[2] for answer in answers} == {b"hi"}
            assert len({answer.partition(b":")[0] for answer in answers}) == 3
            both = StreamStreamMethod(channel, path("Both"), bytes, bytes)
            async with both.open(timeout=10) as stream:
                for word in (b"one", b"two"):
                    await stream.send_message(word)
                    assert await stream.recv_message() == word.upper()
                await stream.end()
                assert await stream.recv_message() is None
        finally:
            channel.close()

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_rolling_restart_under_load_fails_no_call(tmp_path):
    folder = tmp_path / "config"
    folder.mkdir()
    pods = [GrpcPod(name) for name in ("v1", "v2", "v3")]
    (folder / "mesh.yaml").write_text(cluster(*pods, port_name="grpc"))
    with Mesh(folder) as mesh, GrpcClient(mesh.exposed[AUTHORITY], AUTHORITY) as client:
        callers = [Caller(client) for _ in range(4)]
        for caller in callers:
            caller.start()
        try:
            for number, old in enumerate(list(pods)):
                until(lambda served=old: served.calls["Unary"] > 0)
                pods[number] = GrpcPod(old.name)
                (folder / "mesh.yaml").write_text(cluster(*pods, port_name="grpc"))
                until(lambda served=pods[number]: served.calls["Unary"] > 0)
                old.close(grace=10)
        finally:
            for caller in callers:
                caller.stop()
            for pod in pods:
                pod.close()
    assert [failure for caller in callers for failure in caller.failed] == []
    assert all(sum(caller.answered.values()) > 3 for caller in callers)


def test_the_service_itself_is_sound():
    """With nothing between."""
    pod = GrpcPod("v1")
    with GrpcClient(pod.port, AUTHORITY) as client:
        assert client.unary()(b"hi", timeout=10) == b"v1:hi"
        assert client.up()(iter([b"a", b"bc"]), timeout=10) == b"2 3"
        assert list(client.both()(iter([b"a", b"b"]), timeout=10)) == [b"A", b"B"]
        with pytest.raises(grpc.RpcError):
            client.unary("Fail")(b"", timeout=10)
        call = client.unary("Wait").future(b"")
        until(lambda: pod.remaining)
        call.cancel()
        assert pod.gone.wait(10)
    pod.close()
