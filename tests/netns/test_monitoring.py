"""A real Prometheus scrapes a node under Bookinfo's traffic: what Istio's dashboards, Kiali and our own dashboard and
alerts ask of it."""

from __future__ import annotations

import json
import math
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests import dashboards

from nodemesh.cli.scenarios import PAGE, RATINGS, REVIEWS
from nodemesh.cli.stage import Stage

MONITORING = Path(__file__).parents[2] / "manifests" / "overlays" / "monitoring"
RULES = ("split-90-10", "abort-555")
HOST = "{}.bookinfo.svc.cluster.local"

#: Panels of our dashboard that are empty while all is well.
QUIET = {"Refused objects", "Watches that fail", "Ejected endpoints"}

#: Seconds until everything is there.
PATIENCE = 120.0


class Prometheus:
    """Prometheus of the distribution, over one agent."""

    def __init__(self, folder: Path, target: str) -> None:
        binary = shutil.which("prometheus")
        assert binary is not None, "prometheus is missing: .ci/setup installs it"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        rule = yaml.safe_load((MONITORING / "prometheusrule.yaml").read_text())
        (folder / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
        job = {"job_name": "nodemesh", "static_configs": [{"targets": [target], "labels": {"node": "demo-node"}}]}
        often = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config = {"global": often, "rule_files": ["rules.yaml"], "scrape_configs": [job]}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.rules = folder / "rules.yaml"
        self._process = subprocess.Popen(
            [binary, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address={self.address}"],
            stdout=subprocess.DEVNULL, stderr=(folder / "log").open("w"),
        )  # fmt: skip

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()

    def get(self, path: str, **query: str) -> dict:
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def values(self, query: str) -> list[tuple[dict[str, str], float]]:
        """An instant query's samples that are numbers."""
        found = [(row["metric"], float(row["value"][1])) for row in self.get("query", query=query)["result"]]
        return [(labels, value) for labels, value in found if not math.isnan(value)]

    def until(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Its samples, once there are any; none after a bound."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                if found := self.values(query):
                    return found
            except OSError:
                pass
            time.sleep(0.2)
        return []


@pytest.fixture(scope="module")
def scraped(tmp_path_factory) -> Iterator[Prometheus]:
    with Stage() as stage:
        stage.start_agent()
        ended = threading.Event()

        def ask() -> None:
            while not ended.is_set():
                for url in (PAGE, REVIEWS, RATINGS):
                    stage.visitor.request(url, count=10)

        asking = threading.Thread(target=ask)
        prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), stage.agent.admin)
        asking.start()
        try:
            assert prometheus.until("nodemesh_propagation_seconds_count")  # the change of rules is seen as one
            stage.agent.apply("---\n".join(map(stage.scenario_yaml, RULES)), "scenario")
            yield prometheus
        finally:
            ended.set()
            asking.join()
            prometheus.close()


@pytest.mark.parametrize("reporter", dashboards.REPORTERS.split("|"))
def test_every_panel_of_istios_dashboards_shows_a_value(scraped, reporter):
    panels = [
        *dashboards.mesh(),
        *dashboards.service(HOST.format("reviews"), HOST.format("details"), reporter),
        *dashboards.workload("reviews-v1", "details-v1", "productpage-v1", reporter),
    ]
    assert [what for what, query in panels if not scraped.until(query)] == []


def test_kialis_edges_are_those_that_were_sent_from_either_side_and_once(scraped):
    assert scraped.until('rate(istio_requests_total{response_flags="FI"}[1m]) > 0')
    found: dict[str, list[dict[tuple[str, ...], float]]] = {}
    for metric, where, by in dashboards.kiali("bookinfo"):
        rows = scraped.until(f"sum({metric}{{{where}}}) by ({', '.join(by)}) > 0")
        found.setdefault(metric, []).append({tuple(labels.get(name, "") for name in by): n for labels, n in rows})
    for by_destination, by_source in found.values():
        assert set(by_destination) <= set(by_source), "the same edges, which Kiali counts once"
        answered = {edge for edge in by_source if edge[dashboards.ENDS.index("destination_workload")] != "unknown"}
        assert answered == set(by_destination)
    requests = found["istio_requests_total"][1]
    workload, service = (dashboards.ENDS.index(name) for name in ("source_workload", "destination_service_name"))
    assert {(edge[workload], edge[service]) for edge in requests} == {
        ("visitor", "reviews"), ("visitor", "ratings"), ("productpage-v1", "reviews"), ("reviews-v3", "ratings")
    }  # fmt: skip
    assert all(
        edge[dashboards.ENDS.index("destination_cluster")] == "Kubernetes" for edge in found["istio_requests_total"][0]
    )


def test_every_panel_of_our_dashboard_shows_a_value_or_is_quiet(scraped):
    panels = json.loads((MONITORING / "nodemesh.json").read_text())["panels"]
    queries = [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", ())]
    assert len(queries) > 10 and {title for title, _ in queries} >= QUIET
    assert [title for title, query in queries if title not in QUIET and not scraped.until(query)] == []
    assert [title for title, query in queries if title in QUIET and scraped.values(query)] == []


def test_the_alerts_are_rules_that_prometheus_can_evaluate_and_one_is_due(scraped):
    checked = subprocess.run(["promtool", "check", "rules", str(scraped.rules)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert scraped.until('ALERTS{alertname="NodemeshRequestsFail"}'), "a fifth of the requests to ratings fails"
    rules = [rule for group in scraped.get("rules")["groups"] for rule in group["rules"]]
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] == "err"] == []
    due = {rule["name"] for rule in rules if rule["state"] != "inactive"}
    assert not {"NodemeshNotReady", "NodemeshConfigRefused", "NodemeshConfigErrors", "NodemeshSeriesFolded"} & due


def test_the_metrics_page_is_as_prometheus_wants_it(scraped):
    (target,) = scraped.get("targets", state="active")["activeTargets"]
    with urllib.request.urlopen(target["scrapeUrl"], timeout=10) as answer:
        page = answer.read()
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
    complaints = checked.stderr.decode().splitlines()
    assert [line for line in complaints if "istio_request_duration_milliseconds" not in line] == [], "Istio's own name"
