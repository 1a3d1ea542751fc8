"""`explain`: one question answered by the data path's own views, with every rule and clause that led there."""

from __future__ import annotations

from collections.abc import Iterable

from ..config.capture import EVERYTHING
from ..config.kinds import ISTIO_GROUP
from ..config.validate.common import is_ip
from ..reasons import Reason
from ..registry.snapshot import HTTP_PROTOCOLS, Protocol, Snapshot
from .answer import GATEWAY_MODE, Explanation, conclude, reason_word
from .client import Client
from .decision import Decision
from .edge import Edge
from .fields import said_scheme
from .frontend import Frontend, Mode
from .gatewayapi.tracing import told, trace_routes, trace_traffic
from .mode import UDP
from .names import strip_port
from .question import Question, question_of
from .request import Request
from .rollouts import is_canary
from .routes import RouteBuilder
from .trace import Recorder, considered, trace_connection, trace_http
from .view import View
from .views import Views


def explain(
    views: Views, client: Client, method: str, url: str, headers: Iterable[tuple[str, str]] = (), sni: str = ""
) -> Explanation:
    """What becomes of a request or connection of `client` (a gateway workload if it says so). Raises QuestionError."""
    question = question_of(method, url, headers, sni)
    view = views.for_client(client)
    recorder = Recorder(views.tables.snapshot)
    for rollout in views.tables.rollouts:
        if is_canary(rollout, client):
            recorder.note(
                f"{client.namespace}/{client.name} is a canary: it has the change of {rollout.kind} {rollout.key}"
            )
    if client.gateway:
        return explain_gateway(view, client, question, recorder)
    return explain_mesh(view, client, question, recorder)


# === clients in the mesh


def explain_mesh(view: View, client: Client, question: Question, recorder: Recorder) -> Explanation:
    host, port = question.host, question.port
    frontend = view.frontend_for_host(host, port)
    service = frontend.service
    if service is not None:
        origin = f"{service.kind} {service.namespace}/{service.name}"
        recorder.note(f"{host}:{port} is {service.host}, of {origin}", True, service.location)
        recorder.note(f"its protocol is {frontend.protocol.value}")
    else:
        recorder.note(f"{host}:{port} is not in the registry", False)
    excluded = UDP if question.scheme == "udp" else why_excluded(view.tables.snapshot, client, frontend, host, port)
    if excluded:
        recorder.note(f"mode {Mode.PASS.value}: {excluded}")
        return left_alone(frontend, excluded, recorder)
    named = view.named(host)
    if named is not None and (named.allocated or view.tables.mesh.dns_capture):
        recorder.note(f"where the mesh answers DNS, {host} stands for {', '.join(named.addresses)}")
    recorder.note(f"mode {frontend.mode.value}: {frontend.mode_reason}")
    is_request = question.scheme == "http" and speaks_http(frontend)
    if is_request:
        question.request.scheme = said_scheme(question.request.headers, question.request.scheme)
        decision = explain_http(view, frontend, question, recorder)
        trace_traffic(recorder, view.tables.backend_traffic, decision)
    else:
        decision = explain_connection(view, frontend, question, recorder)
    return conclude(decision, question, recorder, frontend, is_request=is_request)


def why_excluded(snapshot: Snapshot | None, client: Client, frontend: Frontend, host: str, port: int) -> str:
    """Why the client's own annotations leave the connection out of the mesh, at whichever address it dials; empty where
    they do not."""
    workload = snapshot.workloads.get(f"{client.namespace}/{client.name}") if snapshot is not None else None
    if workload is None or workload.capture == EVERYTHING:
        return ""
    dialled = (host,) if is_ip(host) else frontend.addresses
    found = [workload.capture.why_not(address, port) for address in dialled if is_ip(address)]
    return found[0] if found and all(found) else ""


def left_alone(frontend: Frontend, why: str, recorder: Recorder) -> Explanation:
    return Explanation(
        outcome="passthrough",
        reason=reason_word(Reason.PASS_EXCLUDED),
        mode=Mode.PASS.value,
        mode_reason=why,
        service=frontend.service.host if frontend.service is not None else None,
        steps=tuple(recorder.steps),
    )


def speaks_http(frontend: Frontend) -> bool:
    return frontend.protocol in HTTP_PROTOCOLS or frontend.protocol is Protocol.AUTO


def explain_http(view: View, frontend: Frontend, question: Question, recorder: Recorder) -> Decision:
    request, port = question.request, frontend.logical_port
    virtual_host = view.virtual_host(frontend, request.authority)
    decision = view.http(frontend, request)
    shown = request.authority.decode(errors="replace")
    if virtual_host.host == "*":
        recorder.note(f"Host {shown} is no host that is known on port {port}", False)
        return decision
    recorder.note(f"Host {shown} is {virtual_host.host}", True)
    builder = view.builder()
    routes = view.routes(frontend)
    if routes:
        told(recorder, routes, f"routes {virtual_host.host}")
        for key in builder.lookup.virtual_service_keys(virtual_host.host):
            displaced = view.tables.virtual_services[key]
            text = f"VirtualService {key} covers {virtual_host.host} too, but routes of the Gateway API come before it"
            recorder.note(text, False, displaced.location)
        trace_routes(recorder, routes, request)
        return decision
    considered(recorder, builder.lookup, virtual_host.host)
    virtual_service = builder.lookup.virtual_service(virtual_host.host)
    if virtual_service is None:
        recorder.note("no VirtualService applies: the service's default route")
    else:
        trace_rules(recorder, builder, virtual_service.key, port, request)
    return decision


def trace_rules(recorder: Recorder, builder: RouteBuilder, key: str, port: int, request: Request) -> None:
    virtual_service = builder.lookup.tables.virtual_services[key]
    if not builder.http_rows(virtual_service, port):
        recorder.note(f"no HTTP rule of {key} is for this client and port: the service's default route")
    elif trace_http(recorder, builder, virtual_service, port, request) is None:
        recorder.note(f"no rule of {key} matches, and there is no way past them", False)


def explain_connection(view: View, frontend: Frontend, question: Question, recorder: Recorder) -> Decision:
    sni = question.sni if question.scheme in ("https", "tls") else None
    builder = view.builder()
    address = frontend.addresses[0] if frontend.addresses else ""
    service = frontend.service
    if sni is not None:
        service = view.tls_service(frontend, strip_port(sni), address)
        if service is None or service is not frontend.service:
            recorder.note(f"server name {sni or '(none)'} is {service.host if service else 'unknown'}", bool(service))
    if service is not None:
        considered(recorder, builder.lookup, service.host)
        trace_connection(recorder, builder, service, frontend.logical_port, sni, address)
    return view.tls(frontend, sni) if sni is not None else view.tcp(frontend)


# === gateways


def explain_gateway(view: View, client: Client, question: Question, recorder: Recorder) -> Explanation:
    port, request = question.port, question.request
    sni = question.sni if question.scheme in ("https", "tls") else ""
    over_udp = question.scheme == "udp"
    listening = [each for each in view.servers() if each.port == port and (each.protocol is Protocol.UDP) is over_udp]
    if not listening:
        shown = f"UDP port {port}" if over_udp else f"port {port}"
        recorder.note(f"no Gateway that selects this workload has a server on {shown}", False)
        return unanswered("no_listener", recorder)
    plain = listening[0].protocol in HTTP_PROTOCOLS
    name = strip_port(request.authority.decode("latin-1")) if plain else sni  # requests in plain say it themselves
    server = listening[0] if over_udp else view.gateway_server(port, name)
    if server is None:
        recorder.note(f"no server on port {port} has the name {name or '(none)'}", False)
        if not plain:
            return unanswered("refused", recorder)
        return conclude(view.http_gateway(port, request), question, recorder, None, is_request=True)
    hosts = ", ".join(exposed.host for exposed in server.hosts)
    recorder.note(f"port {port} is a server of Gateway {server.gateway} for {hosts}", True)
    trace_displaced(view, port, recorder)
    if over_udp:
        decision = view.udp_gateway(port)
    elif not server.is_http:
        decision = view.tls_gateway(port, sni) if not server.terminates and sni else view.tcp_gateway(port, sni)
    else:
        Edge(view.tables.mesh, client).admit(request, b"", b"")
        decision = view.http_gateway(port, request, sni)
        trace_gateway(view, question, sni, recorder)
        trace_traffic(recorder, view.tables.backend_traffic, decision)
    return conclude(decision, question, recorder, None, is_request=server.is_http)


def trace_displaced(view: View, port: int, recorder: Recorder) -> None:
    """Istio's Gateways whose servers have no say on a port, as listeners of the Gateway API are there."""
    if view.listeners.has(port):
        for gateway in dict.fromkeys(each.gateway for each in view.gateway.servers if each.port == port):
            text = f"Gateway {gateway} of {ISTIO_GROUP} has a server there too, but the Gateway API comes before it"
            recorder.note(text, False)


def unanswered(outcome: str, recorder: Recorder) -> Explanation:
    return Explanation(
        outcome=outcome, reason="", mode=Mode.PROXY.value, mode_reason=GATEWAY_MODE, steps=tuple(recorder.steps)
    )


def trace_gateway(view: View, question: Question, sni: str, recorder: Recorder) -> None:
    shown = question.request.authority.decode(errors="replace")
    if view.listeners.has(question.port):
        host, routes = view.listeners.answering(question.port, question.request.authority)
        if host is None:
            recorder.note(f"Host {shown} is no host of a route on this listener", False)
            return
        recorder.note(f"Host {shown} falls to {host or 'any host'}", True)
        told(recorder, routes, "answers for it")
        trace_routes(recorder, routes, question.request)
        return
    domain, bounds = view.gateway.answering(question.port, sni, question.request.authority)
    if domain is None:
        recorder.note(f"Host {shown} is no host of a VirtualService bound to this gateway", False)
        return
    recorder.note(f"Host {shown} falls to {domain}", True)
    for bound in bounds:
        virtual_service = view.tables.virtual_services[bound.key]
        recorder.note(f"VirtualService {bound.key} answers by Gateway {bound.gateway}", True, virtual_service.location)
        builder = view.gateway.builder(bound.gateway)
        if trace_http(recorder, builder, virtual_service, question.port, question.request) is not None:
            return
