"""The verifier over HTTP/2: curl asks what the rules decide, grpcio calls a method; both check what comes back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import grpc

from . import rules
from .proxy import LOOPBACK, Proxy
from .upstream import MESSAGE, METHOD, Upstream
from .verify import Answer, Question, judge, questions


def check(proxy: Proxy, upstream: Upstream) -> list[str]:
    """Every question of the suite `http` over HTTP/2, and where pods speak it a call of gRPC: mistakes as sentences."""
    wrong = [
        f"{proxy.name}: {question.title}: {fault}"
        for question in questions()
        for fault in ask(proxy, upstream, question)
    ]
    if upstream.http2:
        wrong += [f"{proxy.name}: gRPC: {fault}" for fault in call(proxy)]
    return wrong


def ask(proxy: Proxy, upstream: Upstream, question: Question) -> Iterator[str]:
    fields = [part for name, value in question.headers.items() for part in ("-H", f"{name}: {value}")]
    command = ["curl", "-sS", "--http2-prior-knowledge", "--max-time", "20", "-D-", *fields, proxy.url + question.path]
    ended = subprocess.run(command, capture_output=True, timeout=30)
    if ended.returncode:
        yield ended.stderr.decode().strip()
        return
    head, _, body = ended.stdout.partition(b"\r\n\r\n")
    start, *lines = head.decode("latin-1").split("\r\n")
    if not start.startswith("HTTP/2 "):
        yield f"it was answered by {start.partition(' ')[0]}"
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    yield from judge(question, Answer(int(start.split()[1]), headers, body), upstream)


def call(proxy: Proxy) -> Iterator[str]:
    options = [("grpc.default_authority", rules.HOST)]
    with grpc.insecure_channel(f"{LOOPBACK}:{proxy.port}", options=options) as channel:
        method = channel.unary_unary(METHOD, request_serializer=None, response_deserializer=None)
        try:
            answer, called = method.with_call(MESSAGE, timeout=20)
        except grpc.RpcError as error:
            yield f"it failed: {error}"
            return
    initial = dict(called.initial_metadata())
    if answer != MESSAGE:
        yield f"it was answered {answer[:80]!r}, right is {MESSAGE!r}"
    if initial.get("x-rule") != rules.RULES[-1].name:
        yield f"rule {initial.get('x-rule')} answered, right is {rules.RULES[-1].name}"
