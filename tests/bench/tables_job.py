"""The measured halves of suite `tables`, each run in a process of its own so that memory is only its own."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from nodemesh.config.load import load_object, load_text
from nodemesh.datapath.plan import Plan, Planner, diff
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.tables import Tables
from nodemesh.routing.view import View
from nodemesh.routing.views import Views

from . import cluster
from .cluster import Size
from .processes import PAGE

CHANGES = 20  # of each sort; odd ones out are met by the median, told by the longest


def seconds(work: Callable[[], object]) -> float:
    """Of CPU time: one thread does it all and never waits, and what else runs on the machine does not count."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


def resident() -> float:
    """MiB, now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20


class Fault(Exception):
    """What was measured did not do its work."""


def loaded(data: dict[str, Any]) -> Any:
    found = load_object(data, "bench")
    if len(found.objects) != 1:
        raise Fault(f"{data['kind']} {data['metadata']['name']} was refused: {found.problems}")
    return found.objects[0]


class Control:
    """What control does on each change: registry, then tables, then what one client's kernel maps depend on."""

    def __init__(self) -> None:
        self.store = Store()
        self.tables: Tables | None = None
        self.views: Views | None = None

    def apply(self, *changed: Any) -> None:
        self.tables = compile_tables(self.store.apply("bench", changed), self.tables)

    def look(self) -> int:
        """Everything that a client of the first namespace can dial; how much that is."""
        assert self.tables is not None
        self.views = Views(self.tables, self.views)
        view = self.views.for_client(Client(namespace="team-0", name="client"))
        return sum(1 for _ in view.frontends())

    def views_of_two(self) -> list[tuple[int, View]]:
        """By the kernel's numbers: what everybody sees, and what a client of the first namespace does."""
        assert self.tables is not None
        self.views = Views(self.tables, self.views)
        clients = (Client(namespace="default"), Client(namespace="team-0", name="client"))
        return [(number, self.views.for_client(client)) for number, client in enumerate(clients)]

    def take(self, data: dict[str, Any]) -> None:
        self.apply(loaded(data))

    def change(self, revised: Callable[[int], dict[str, Any]]) -> list[float]:
        """Applies one revised object after the other, from its plain data on; the CPU seconds of each."""
        found = []
        for revision in range(1, CHANGES + 1):
            data = revised(revision)
            before = self.tables
            found.append(seconds(partial(self.take, data)))
            if self.tables is before or (before and self.tables and self.tables.version == before.version):
                raise Fault(f"a changed {data['kind']} gave no new tables")
        return found


def after_changes(control: Control, size: Size, revisions: range, work: Callable[[], object]) -> list[float]:
    """The CPU seconds that `work` takes after each of several changed endpoints, of services without rules; it has been
    done once before."""
    work()
    found = []
    for revision in revisions:
        control.take(cluster.endpoint_slice(size, size.services - revision, revision))
        found.append(seconds(work))
    return found


def changed_rule(size: Size, revision: int) -> dict[str, Any]:
    """One VirtualService, or one HTTPRoute where there are such."""
    if size.routes:
        return cluster.http_route(size, revision * 97 % size.routes, revision)
    return cluster.virtual_service(size, revision * 97 % size.rules, revision)


def compiling(size: Size) -> dict[str, float]:
    """First compile, then single changes, and what all that holds in memory."""
    held: list[Any] = []
    reading = seconds(lambda: held.extend(loaded(data) for data in cluster.objects(size)))
    control = Control()
    first = seconds(lambda: control.apply(*held))
    held.clear()
    tables = control.tables
    held_rules = (len(tables.services), len(tables.virtual_services), len(tables.routes)) if tables else ()
    if held_rules != (size.services, size.rules, size.routes):
        raise Fault("the tables do not hold every service and rule")
    seen = 0

    def look() -> None:
        nonlocal seen
        seen = control.look()

    first_view = seconds(look)
    if seen != size.services * 2:
        raise Fault(f"the client sees {seen} service ports of {size.services * 2}")
    endpoint = control.change(lambda revision: cluster.endpoint_slice(size, revision * 97 % size.services, revision))
    rule = control.change(lambda revision: changed_rule(size, revision))
    next_view = after_changes(control, size, range(1, CHANGES + 1), control.look)
    planner = Planner()
    current = Plan()

    def follow() -> None:
        nonlocal current
        wanted = planner.plan(control.views_of_two())
        if not diff(current, wanted):
            raise Fault("a changed endpoint gave nothing to write")
        current = wanted

    kernel = after_changes(control, size, range(CHANGES + 1, 2 * CHANGES + 1), follow)
    return {
        "load from the API": reading,
        "first compile": first,
        "one endpoint": statistics.median(endpoint),
        "one endpoint, longest": max(endpoint),
        "one rule": statistics.median(rule),
        "one rule, longest": max(rule),
        "first view of a client": first_view,
        "one change in that view": statistics.median(next_view),
        "one change in that view, longest": max(next_view),
        "one change for the kernel, two views": statistics.median(kernel),
        "one change for the kernel, two views, longest": max(kernel),
        "memory": resident(),
    }


def parsing(count: int) -> dict[str, float]:
    """YAML text with `count` objects, in files of a hundred: parse and validate."""
    size = Size(services=count * 2 // 10, rules=count * 3 // 10, namespaces=10)
    data = list(cluster.objects(size))[size.namespaces :]
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    files = [yaml.dump_all(data[at : at + 100], Dumper=dumper, sort_keys=False) for at in range(0, len(data), 100)]
    accepted = 0

    def parse() -> None:
        nonlocal accepted
        for number, text in enumerate(files):
            accepted += len(load_text(text, f"{number}.yaml").objects)

    took = seconds(parse)
    if accepted != len(data):
        raise Fault(f"{accepted} of {len(data)} objects were accepted")
    return {"parse and validate": took}


def main(job: str, sizes: list[int]) -> None:
    """`compile SERVICES RULES NAMESPACES ENDPOINTS ROUTES` or `parse OBJECTS`; one JSON object on standard output."""
    print(json.dumps(compiling(Size(*sizes)) if job == "compile" else parsing(*sizes)))


if __name__ == "__main__":
    main(sys.argv[1], [int(text) for text in sys.argv[2:]])
