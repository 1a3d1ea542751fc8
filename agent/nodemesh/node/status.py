"""The running node as the admin API sees it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import msgspec

from .. import __version__
from ..admin.state import AgentRow, EndpointRow, ExplainQuery, Heard, ModeRow, PodRow, ShadowReport
from ..config.problems import Problem, Severity
from ..datapath.calm import CALM
from ..proxy.peer import ListenerRole
from ..registry.snapshot import Service, Snapshot
from ..routing.answer import Explanation
from ..routing.client import Client
from ..routing.explain import explain
from ..routing.frontend import Mode
from ..routing.lookup import MAY_BE_HTTP
from ..routing.networks import out_of_reach
from ..routing.question import QuestionError, client_for
from ..routing.trace import Step
from ..routing.view import View
from ..routing.views import Views
from ..telemetry.history import History
from ..telemetry.totals import Totals
from .control import Control
from .exposed import bound_address
from .kernel import shown
from .metrics_page import metrics_page
from .options import Ebpf
from .past import rows_of
from .rollout import rollout_rows
from .shadow_report import report


class RunningNode:
    """Reads Control's state; changes nothing."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._modes: dict[tuple[str, str, int], tuple[ModeRow, Set[str]]] = {}  # of the views that `_modes_of` is
        self._modes_of: Views | None = None

    @property
    def snapshot(self) -> Snapshot:
        return self._control.snapshot

    def missing(self) -> list[str]:
        return self._control.missing()

    def problems(self) -> Sequence[Problem]:
        """What is wrong with single objects, then what they mean together."""
        return (*self.snapshot.problems, *self._control.review.problems)

    def pods(self) -> Sequence[PodRow]:
        interception = self._control.interception
        return interception.enrolment.rows() if interception is not None else []

    def agent(self) -> AgentRow:
        control, counts = self._control, self._pod_counts()
        errors, warnings = self._problem_counts()
        missing = self.missing()
        return AgentRow(
            node=control.options.node,
            version=__version__,
            ready=not missing,
            missing=tuple(missing),
            started=control.started,
            tables=control.publisher.version,
            changed=control.propagation.changes[-1].at if control.propagation.changes else 0.0,
            pods=sum(counts.values()),
            enrolled=counts["enrolled"],
            errors=errors,
            warnings=warnings,
            refused=control.error,
        )

    async def ask_others(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Heard:
        cluster = self._control.cluster
        return await cluster.peers.ask(path, query) if cluster is not None and cluster.peers is not None else Heard()

    def status(self) -> dict[str, Any]:
        control = self._control
        interception = control.interception
        missing = self.missing()
        tables = control.publisher.tables
        pods = self._pod_counts()
        errors, warnings = self._problem_counts()
        return {
            "node": control.options.node,
            "orders": control.options.operator_socket,
            "started": control.started,
            "ready": not missing,
            "missing": missing,
            "ebpf": "on" if control.options.ebpf is not Ebpf.OFF else "off: only --expose and gateway listeners serve",
            "self_test": "" if interception is None else interception.unproven or "passed",
            "sockmap": str(interception.sockmap) if interception is not None else "off",
            "kernel": self._kernel(),
            "tables": {
                "version": control.publisher.version,
                "causes": list(tables.causes) if tables is not None else [],
            },
            "config": {
                "sources": list(control.options.config),
                "modified": control.files_modified,
                "error": control.error,
                "errors": errors,
                "warnings": warnings,
                "claims": [f"{claim.location}: {claim.message}" for claim in control.review.claims],
            },
            "certificates": control.materials.rows(),
            "cluster": self._cluster(),
            "workers": self._workers(),
            "control": {
                "pid": control.children.pids.get("control", 0),
                "restarts": control.children.restarts.get("control", 0),
            },
            "listeners": self._listeners(),
            "pods": pods,
            "pods_not_served": self._not_served(),
            "rollouts": self._rollouts(),
            "dns": {"capture": self.snapshot.mesh.dns_capture, "pods": self._pods_dns()},
        }

    def _rollouts(self) -> list[dict[str, Any]]:
        control = self._control
        return rollout_rows(control.registry.staging, control.collector.totals.canaries)

    def _cluster(self) -> dict[str, Any] | None:
        cluster = self._control.cluster
        if cluster is None:
            return None
        return {**cluster.status(), "name": self.snapshot.cluster, "out_of_reach": out_of_reach(self.snapshot)}

    def _kernel(self) -> dict[str, list[str]]:
        interception = self._control.interception
        if interception is None:
            return {}
        kernel = interception.kernel
        return {
            "foreign_programs": list(kernel.foreign),
            "ports_without_room": list(kernel.passed),
            "endpoints_out": sorted(map(shown, kernel.out)),
        }

    def _workers(self) -> list[dict[str, Any]]:
        control = self._control
        return [
            {
                "number": link.number,
                "pid": link.pid,
                "applied": link.applied,
                "restarts": control.children.restarts.get(f"worker-{link.number}", 0),
                "error": link.refused.error if link.refused is not None else "",
            }
            for link in control.fleet
        ]

    def _listeners(self) -> list[dict[str, Any]]:
        rows = []
        for listener in self._control.listeners:
            message = listener.message
            destination = message.destination
            dialled = f"{destination[0]}:{destination[1]}" if destination is not None else ""
            if message.gateway_port:
                kind = "UDP port" if message.role is ListenerRole.DATAGRAMS else "port"
                dialled = f"gateway {kind} {message.gateway_port}"
            rows.append(
                {
                    "name": listener.name,
                    "client": f"{message.client.namespace}/{message.client.name}",
                    "destination": dialled,
                    "address": str(bound_address(listener.fds.sockets[0])) if dialled else "",
                }
            )
        return rows

    def _pod_counts(self) -> dict[str, int]:
        rows = self.pods()
        enrolled = sum(row.enrolled for row in rows)
        return {"enrolled": enrolled, "not_enrolled": len(rows) - enrolled}

    def _not_served(self) -> list[str]:
        return [f"{one.pod.namespace}/{one.pod.name}: {one.why}" for one in self._control.failing()]

    def _pods_dns(self) -> int:
        return sum(row.dns for row in self.pods())

    def _problem_counts(self) -> tuple[int, int]:
        found = Counter(problem.severity for problem in self.problems())
        return found[Severity.ERROR], found[Severity.WARNING]

    def mode(self, service: Service, port: int) -> ModeRow:
        """The way to a service port, as a client in the service's own namespace sees it."""
        views = self._control.views
        if views is None:
            return ModeRow(mode="", mode_reason="no tables are in force yet")
        if self._modes_of is not views:
            self._modes_of, self._modes = views, {}
        key = (service.namespace, service.host, port)
        if key not in self._modes:
            self._modes[key] = self._mode(views.for_client(Client(namespace=service.namespace)), service, port)
        row, hosts = self._modes[key]
        if why := self._why_restless(hosts):
            row = msgspec.structs.replace(row, mode=Mode.PROXY.value, mode_reason=why)
        bypassed = self._control.collector.totals.bypasses.of(service.host, port)
        interception = self._control.interception
        endpoints = interception.endpoints.of(service, port) if interception is not None else ()
        if not bypassed and not endpoints:
            return row
        return msgspec.structs.replace(row, http_rules_bypassed=bypassed, kernel_endpoints=endpoints)

    def _why_restless(self, hosts: Set[str]) -> str:
        """Why the proxy has what is in kernel mode otherwise; empty where it has not."""
        interception = self._control.interception
        restless = interception.restless() if interception is not None and hosts else {}
        why = next((restless[host] for host in sorted(hosts) if host in restless), "")
        return why and f"{why}; the kernel's again after {CALM:.0f} s without such a thing"

    @staticmethod
    def _mode(view: View, service: Service, port: int) -> tuple[ModeRow, Set[str]]:
        """With the hosts that it depends on whether it is the kernel's just now."""
        frontend = view.frontend_for_host(service.host, port)
        cluster = view.builder().cluster(service, port, "") if frontend.protocol in MAY_BE_HTTP else None
        row = ModeRow(
            mode=frontend.mode.value,
            mode_reason=frontend.mode_reason,
            upstream_http=cluster.upstream_http.value if cluster is not None else "",
            http_reason=cluster.http_reason.value if cluster is not None else "",
        )
        return row, frontend.kernel_hosts

    def view(self, client: str) -> View:
        views = self._control.views
        if views is None:
            raise QuestionError("no tables are in force yet; ask again in a moment")
        return views.for_client(client_for(views.tables, client))

    def explain(self, question: ExplainQuery) -> dict[str, Any]:
        views = self._control.views
        if views is None:
            raise QuestionError("no tables are in force yet; ask again in a moment")
        labels = dict(question.gateway) if question.gateway else None
        client = client_for(views.tables, question.client, gateway_labels=labels)
        answer = explain(views, client, question.method, question.url, question.headers, question.sni)
        answer = self._with_dns(self._as_it_is_now(answer), client)
        return msgspec.json.decode(msgspec.json.encode(answer), type=dict[str, Any])

    def _as_it_is_now(self, answer: Explanation) -> Explanation:
        """With the mode that a service has while it is not calm."""
        if answer.mode != Mode.KERNEL or answer.service is None:
            return answer
        why = self._why_restless({answer.service})
        return msgspec.structs.replace(answer, mode=Mode.PROXY.value, mode_reason=why) if why else answer

    def _with_dns(self, answer: Explanation, client: Client) -> Explanation:
        """What is known of the pod that is asked for, beside its view."""
        pod = next((row for row in self.pods() if (row.namespace, row.name) == (client.namespace, client.name)), None)
        if pod is None or not pod.enrolled:
            return answer
        text = "its DNS is answered by the mesh" if pod.dns else "its DNS is answered by its own nameserver alone"
        reason = f": {pod.dns_why_not}" if pod.dns_why_not else ""
        step = Step(text=f"pod {client.namespace}/{client.name} is enrolled, {text}{reason}")
        return msgspec.structs.replace(answer, steps=(step, *answer.steps))

    async def telemetry(self) -> Totals:
        await self._control.collector.collect()
        return self._control.collector.totals

    @property
    def history(self) -> History:
        return self._control.collector.history

    def endpoint_states(self) -> Mapping[tuple[str, int], EndpointRow]:
        now = time.monotonic()
        found: dict[tuple[str, int], EndpointRow] = {}
        for cluster, state in self._control.counters.states():
            for endpoint, row in zip(cluster.endpoints, state.endpoints, strict=True):
                key = (endpoint.address, endpoint.port)
                before = found.get(key)
                ejected = max(0.0, now - row.ejected_at) if row.ejected_at else -1.0
                found[key] = EndpointRow(
                    host=cluster.host,
                    in_flight=row.in_flight + (before.in_flight if before is not None else 0),
                    ejected_for=max(ejected, before.ejected_for if before is not None else -1.0),
                )
        return found

    async def shadow(self, explained: bool) -> ShadowReport:
        control = self._control
        kernel = control.interception is not None
        if kernel:
            await control.collector.collect()
        return await report(control.shadow, control.views, explained=explained, kernel=kernel)

    def changes(self) -> Sequence[Any]:
        return list(self._control.propagation.changes)

    def rollback(self, version: int, name: str) -> Sequence[Any]:
        return rows_of(self._control.past, version, name)

    def why_empty(self) -> list[str]:
        control = self._control
        said = [f"this node is not ready: {sentence}" for sentence in self.missing()]
        rows = self.pods()
        if control.interception is None:
            said.append("eBPF is off: only what comes through --expose and gateway listeners is seen")
        elif not any(row.enrolled for row in rows):
            said.append("no pod of this node is enrolled")
        left_out = [row for row in rows if not row.enrolled and row.why_not]
        said += [f"{row.namespace}/{row.name} is not in the mesh: {row.why_not}" for row in left_out[:5]]
        if len(left_out) > 5:
            said.append(f"{len(left_out) - 5} more pods are not in the mesh; `nodemesh pods` says why")
        return said

    async def connections(self) -> list[Any]:
        answers = await self._control.fleet.connections()
        return [row for data in answers.values() for row in msgspec.msgpack.decode(data)]

    async def metrics(self) -> Iterator[bytes]:
        began = time.perf_counter()
        totals = await self.telemetry()
        shadow = await self._control.shadow.numbers()
        return metrics_page(self._control, totals, self.pods(), self.problems(), shadow, began)
