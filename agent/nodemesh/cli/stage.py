"""The demo's stage: Bookinfo's pods in a lab, an agent beside them, and the deeds that a scenario asks for."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from .. import share
from ..config.core import ServiceSpec
from ..config.load import load_text
from ..lab import HttpAnswer, Lab, LabError, LabPod, LabPort, bookinfo
from ..lab.agent import Agent
from .expectations import RowVerdict
from .scenarios import Intervention, Scenario, ScenarioRow

NAMESPACE = "bookinfo"
VERSIONS = {"productpage": ("v1",), "details": ("v1",), "ratings": ("v1",), "reviews": ("v1", "v2", "v3")}
VISITOR = "visitor"

ADMIN_PORT = 15000


def bookinfo_manifests() -> Path:
    """The folder of Bookinfo's YAML. Raises LabError."""
    try:
        return share.folder("manifests/demo/bookinfo")
    except share.ShareMissing as error:
        raise LabError(str(error)) from None


class Stage:
    """A context manager over the lab: inside it Bookinfo runs, and the agent after `start_agent`."""

    def __init__(self) -> None:
        self.manifests = bookinfo_manifests()
        self.lab = Lab("demo")
        self._dead: dict[str, LabPod] = {}

    def __enter__(self) -> Self:
        self.lab.__enter__()
        try:
            self._declare()
            self._populate()
            self.agent = Agent(self.lab, admin_port=ADMIN_PORT if _is_free(ADMIN_PORT) else 0)
            for file in sorted(self.manifests.glob("*.yaml")):
                self.agent.apply(file.read_text(), file.stem)
        except BaseException:
            self.lab.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lab.__exit__(kind, error, trace)

    def start_agent(self) -> None:
        self.agent.start()
        self.agent.wait_enrolled(self.lab.pods.values())

    def prepare(self, scenario: Scenario) -> None:
        """Bring the scenario's YAML in force and its dead pods into being."""
        for service in self._dead.keys() - set(scenario.dead):
            self.lab.delete(self._dead.pop(service))
        for service in set(scenario.dead) - self._dead.keys():
            labels = {"app": service, "version": "v1"}
            self._dead[service] = self.lab.pod(f"{service}-v1-dead", namespace=NAMESPACE, labels=labels)
        self.agent.apply(self.scenario_yaml(scenario.yaml), "scenario")
        self._wait_endpoints()

    def play(self, row: ScenarioRow) -> RowVerdict:
        """Send the row's requests, do its deed meanwhile, and judge what came back."""
        answers: list[HttpAnswer] = []
        failures: list[Exception] = []
        client, moment = self.visitor, 0.0
        if row.deed is Intervention.JOIN:
            client, moment = self.lab.pod("newcomer", namespace=NAMESPACE, labels={"app": VISITOR}), time.monotonic()
        traffic = threading.Thread(target=self._send, args=(client, row, answers, failures), name="traffic")
        traffic.start()
        if row.deed in (Intervention.APPLY, Intervention.KILL):
            moment = self._do(row)
        traffic.join()
        if client is not self.visitor:
            self.lab.delete(client)
        if failures:
            raise failures[0]
        return row.expectation.judge(answers, moment)

    def scenario_folder(self, name: str) -> Path:
        return self.manifests / "scenarios" / name

    def scenario_yaml(self, name: str) -> str:
        files = sorted(self.scenario_folder(name).glob("*.yaml"))
        return "---\n".join(file.read_text() for file in files)

    def memory(self) -> int:
        """MiB that the agent's processes have, what they share counted once (PSS of proc_pid_smaps_rollup(5))."""
        rows = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.agent.pids()]
        return (
            sum(int(line.split()[1]) for text in rows for line in text.splitlines() if line.startswith("Pss:")) // 1024
        )

    def _send(self, client: LabPod, row: ScenarioRow, answers: list[HttpAnswer], failures: list[Exception]) -> None:
        try:
            addresses = {pod.name: pod.ip for pod in self.lab.pods.values()}
            addresses |= {one.name: one.addresses[0] for one in self.lab.services.values()}
            answers += client.request(
                row.url.format_map(addresses),
                headers=row.headers,
                count=row.count,
                concurrency=row.concurrency,
                duration=row.duration,
                timeout=row.timeout,
            )
        except (LabError, OSError, subprocess.SubprocessError) as error:
            failures.append(error)

    def _do(self, row: ScenarioRow) -> float:
        """Do the row's deed once its traffic flows, which the access log tells; the moment at which it was begun."""
        began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
        self.agent.wait_for(lambda: self._last_logged() > began, "the traffic to flow")
        moment = time.monotonic()
        if row.deed is Intervention.KILL:
            self.agent.kill()
        else:
            self.agent.apply(self.scenario_yaml(row.yaml), "scenario")
        return moment

    def _last_logged(self) -> str:
        """When the last request of the access log began: its line does with that, in brackets."""
        if not self.agent.access_log.exists():
            return ""
        last = self.agent.access_log.read_text().rpartition("\n")[0].rpartition("\n")[2]
        return last.partition("]")[0].lstrip("[")

    def _declare(self) -> None:
        """The services of the user's YAML get their addresses and names in the lab, as a cluster would give them."""
        self.lab.namespace(NAMESPACE, manifest=False)
        file = self.manifests / "bookinfo.yaml"
        for one in load_text(file.read_text(), str(file)).objects:
            if not isinstance(one.spec, ServiceSpec):
                continue
            self.lab.service(
                one.meta.name,
                namespace=one.meta.namespace,
                addresses=one.spec.cluster_ips or (one.spec.cluster_ip,),
                ports=[LabPort(port.port, port.target_port, name=port.name) for port in one.spec.ports],
                selector=one.spec.selector,
                manifest=False,
            )

    def _populate(self) -> None:
        pods = []
        for service, versions in VERSIONS.items():
            for version in versions:
                pod = self.lab.pod(
                    f"{service}-{version}",
                    namespace=NAMESPACE,
                    labels={"app": service, "version": version},
                    ports={"http": bookinfo.PORT},
                    service_account=f"bookinfo-{service}",
                )
                with (self.lab.folder / f"{pod.name}.log").open("w") as log:
                    command = [sys.executable, "-IS", bookinfo.__file__, service, version]
                    pod.popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                pods.append(pod)
        self.visitor = self.lab.pod(VISITOR, namespace=NAMESPACE, labels={"app": VISITOR})
        for pod in pods:
            pod.wait_listening(bookinfo.PORT)

    def _wait_endpoints(self) -> None:
        """Until the agent's endpoints are the lab's pods: a pod that came or went has arrived."""
        self.agent.wait_for(
            lambda: self._agent_endpoints() == self._lab_endpoints(), "the agent to know the pods", timeout=10.0
        )

    def _agent_endpoints(self) -> Sequence[str]:
        return sorted(row["address"] for row in self.agent.get("/endpoints"))

    def _lab_endpoints(self) -> Sequence[str]:
        return sorted(pod.ip for pod in self.lab.pods.values() if pod.name != VISITOR)


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
