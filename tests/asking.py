"""Questions to a mesh of YAML, written like the arguments of `nodemesh explain`."""

from __future__ import annotations

import argparse
import shlex
from typing import NamedTuple

from nodemesh.config.load import load_text
from nodemesh.registry.store import Store
from nodemesh.routing.answer import Explanation
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.decision import Decision
from nodemesh.routing.explain import explain, speaks_http
from nodemesh.routing.question import Question, client_for, question_of
from nodemesh.routing.view import View
from nodemesh.routing.views import Views

PARSER = argparse.ArgumentParser()
PARSER.add_argument("method")
PARSER.add_argument("url")
PARSER.add_argument("-H", dest="headers", action="append", default=[])
PARSER.add_argument("--as", dest="client", default="default")
PARSER.add_argument("--gateway", default="")
PARSER.add_argument("--sni", default="")


class Asked(NamedTuple):
    """One question: `GET http://reviews:9080/ -H 'end-user: jason' --as default/web --gateway istio=ingress`."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    client: str
    gateway: dict[str, str] | None
    sni: str

    def question(self) -> Question:
        return question_of(self.method, self.url, self.headers, self.sni)

    def client_in(self, views: Views) -> Client:
        return client_for(views.tables, self.client, gateway_labels=self.gateway)


def asked(line: str) -> Asked:
    given = PARSER.parse_args(shlex.split(line))
    headers = tuple(
        (name.strip(), value.strip()) for name, _, value in (entry.partition(":") for entry in given.headers)
    )
    labels = dict(part.split("=", 1) for part in given.gateway.split(",")) if given.gateway else None
    return Asked(given.method, given.url, headers, given.client, labels, given.sni)


def views_of_text(*texts: str) -> Views:
    """The views of some YAML, all of which must be accepted."""
    objects = []
    for index, text in enumerate(texts):
        loaded = load_text(text.encode(), f"{index}.yaml")
        assert not [problem for problem in loaded.problems if problem.refused], loaded.problems
        objects += loaded.objects
    return Views(compile_tables(Store().apply("test", objects)))


def answer(views: Views, line: str) -> Explanation:
    question = asked(line)
    return explain(views, question.client_in(views), question.method, question.url, question.headers, sni=question.sni)


def decide(views: Views, question: Asked) -> Decision:
    """What the data path decides."""
    parsed = question.question()
    view = views.for_client(question.client_in(views))
    sni = parsed.sni if parsed.scheme in ("https", "tls") else ""
    if question.gateway is not None:
        return decide_at_gateway(view, parsed, sni)
    frontend = view.frontend_for_host(parsed.host, parsed.port)
    if sni:
        return view.tls(frontend, sni)
    if parsed.scheme == "http" and speaks_http(frontend):
        return view.http(frontend, parsed.request)
    return view.tcp(frontend)


def decide_at_gateway(view: View, parsed: Question, sni: str) -> Decision:
    server = view.gateway_server(parsed.port, sni)
    if server is not None and server.is_http:
        return view.http_gateway(parsed.port, parsed.request, sni)
    if server is not None and not server.terminates and sni:
        return view.tls_gateway(parsed.port, sni)
    return view.tcp_gateway(parsed.port, sni)
