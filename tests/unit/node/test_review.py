import asyncio
import logging

from nodemesh.config.load import load_text
from nodemesh.node import review
from nodemesh.node.review import LOGGED, Review
from nodemesh.registry.store import Store
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.tables import Tables

SERVICE = """apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.1, ports: [{port: 80, name: http}]}
---
"""
RULE = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [web]
  http: [{route: [{destination: {host: %s}}]}]
"""


class Mesh:
    """What is in force, and the review of it."""

    def __init__(self, text: str) -> None:
        self.store = Store()
        self.tables: Tables | None = None
        self.set(text)

    def set(self, text: str) -> None:
        self.store.apply("files", load_text(text, "mesh.yaml").objects)
        self.tables = compile_tables(self.store.snapshot, self.tables)

    def inputs(self):
        return self.store.snapshot, self.tables


def test_what_objects_mean_together_is_found_and_logged_once(caplog):
    async def scenario():
        mesh = Mesh(SERVICE + RULE % "nowhere")
        looked = Review(mesh.inputs)
        with caplog.at_level(logging.WARNING, "nodemesh.control"):
            await looked.look()
            await looked.look()
            assert [problem.code for problem in looked.problems] == ["unknown-host"]
            assert str(looked.problems[0].location).startswith("mesh.yaml:11:")
            assert len([each for each in caplog.records if "nowhere" in each.message]) == 1
            mesh.set(RULE % "web")
            await looked.look()
        assert [problem.code for problem in looked.problems] == ["no-endpoints"]

    asyncio.run(scenario())


def test_many_findings_are_logged_as_a_number(caplog):
    async def scenario():
        rule = "{match: [{uri: {exact: /%d}}], route: [{destination: {host: none-%d}}]}"
        route = ", ".join(rule % (number, number) for number in range(30))
        looked = Review(Mesh(SERVICE + RULE.replace("[{route: [{destination: {host: %s}}]}]", f"[{route}]")).inputs)
        with caplog.at_level(logging.WARNING, "nodemesh.control"):
            await looked.look()
        assert len(looked.problems) == 30
        assert len(caplog.records) == LOGGED + 1 and "count=10" in caplog.records[-1].message

    asyncio.run(scenario())


def test_a_burst_of_changes_is_reviewed_once(monkeypatch):
    async def scenario():
        mesh = Mesh(SERVICE)
        looked = Review(mesh.inputs)
        looks = []

        async def look():
            looks.append(len(looks))
            return 0.0

        monkeypatch.setattr(looked, "look", look)
        monkeypatch.setattr(review, "SETTLE", 0.01)
        task = asyncio.create_task(looked.run())
        for _ in range(5):
            looked.due()
        while not looks:
            await asyncio.sleep(0.005)
        looked.due()
        while len(looks) < 2:
            await asyncio.sleep(0.005)
        task.cancel()
        assert looks == [0, 1]

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_before_there_are_tables_nothing_is_reviewed():
    assert asyncio.run(Review(lambda: None).look()) == 0.0
