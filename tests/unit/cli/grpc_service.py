"""The gRPC service of the tests: pods of grpcio with every kind of call, and messages of plain bytes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc

SERVICE = "test.Service"

#: A detail that has to be escaped on the wire (percent-encoded UTF-8).
DETAIL = "nö, 100 %"

#: What a client may see of a deadline: its own clock's end of it, or that of the proxy, whose answer is Envoy's.
LATE = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)


def path(method: str) -> str:
    return f"/{SERVICE}/{method}"


class GrpcPod:
    """One pod. Each answer names it, so that a client sees who has answered."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: Counter[str] = Counter()
        self.remaining: list[float | None] = []  # seconds that `Wait` calls had left when they came
        self.gone = threading.Event()  # a `Wait` call has been broken off
        self._count = threading.Lock()
        handlers = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Down": grpc.unary_stream_rpc_method_handler(self.down),
            "Up": grpc.stream_unary_rpc_method_handler(self.up),
            "Both": grpc.stream_stream_rpc_method_handler(self.both),
            "Wait": grpc.unary_unary_rpc_method_handler(self.wait),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
        }
        self._pool = ThreadPoolExecutor(16)
        self.server = grpc.server(self._pool, options=[("grpc.so_reuseport", 0)])
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.port: int = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def close(self, grace: float | None = None) -> None:
        """With a grace the calls under way end first, and clients are told to go elsewhere."""
        self.server.stop(grace).wait(30)
        self._pool.shutdown(wait=False)

    def _called(self, method: str) -> None:
        with self._count:
            self.calls[method] += 1

    def unary(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self._called("Unary")
        context.set_trailing_metadata((("x-pod", self.name),))
        return self.name.encode() + b":" + request

    def down(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """As many messages as the request says."""
        self._called("Down")
        for number in range(int(request)):
            yield b"%d" % number

    def up(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """How many messages came, and how many bytes they had."""
        self._called("Up")
        sizes = [len(request) for request in requests]
        return b"%d %d" % (len(sizes), sum(sizes))

    def both(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """Every message back as it comes."""
        self._called("Both")
        for request in requests:
            yield request.upper()

    def wait(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """No answer until the call is broken off, which is noted."""
        self._called("Wait")
        self.remaining.append(context.time_remaining())
        over = threading.Event()
        if context.add_callback(over.set):
            over.wait(20)
        self.gone.set()
        return b""

    def fail(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self._called("Fail")
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, DETAIL)
        raise AssertionError("abort raises")


class GrpcClient:
    """One channel, and so one connection to the server that it is for."""

    def __init__(self, port: int, authority: str) -> None:
        options = [("grpc.default_authority", authority), ("grpc.enable_retries", 0)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)

    def __enter__(self) -> GrpcClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def unary(self, method: str = "Unary") -> grpc.UnaryUnaryMultiCallable:
        return self.channel.unary_unary(path(method))

    def down(self) -> grpc.UnaryStreamMultiCallable:
        return self.channel.unary_stream(path("Down"))

    def up(self) -> grpc.StreamUnaryMultiCallable:
        return self.channel.stream_unary(path("Up"))

    def both(self) -> grpc.StreamStreamMultiCallable:
        return self.channel.stream_stream(path("Both"))


class Caller(threading.Thread):
    """Calls one after the other until it is stopped, and keeps what failed."""

    def __init__(self, client: GrpcClient) -> None:
        super().__init__(daemon=True)
        self.answered: Counter[str] = Counter()
        self.failed: list[str] = []
        self._unary = client.unary()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                answer = self._unary(b"hi", timeout=10)
                self.answered[answer.decode().partition(":")[0]] += 1
            except grpc.RpcError as error:
                self.failed.append(f"{error.code()}: {error.details()}")
                time.sleep(0.01)  # a server that refuses is not to be flooded

    def stop(self) -> None:
        self._over.set()
        self.join(15)
