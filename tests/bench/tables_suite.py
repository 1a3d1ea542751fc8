"""Suite `tables`: a big cluster's objects to compiled tables, whole and one change at a time, in seconds and memory."""

from __future__ import annotations

from . import jobs
from .cluster import Size
from .outcome import Figure, Options, Outcome

ROUTED, QUICK_ROUTED = Size(10_000, 0, 100, routes=3_000), Size(1_000, 0, 100, routes=300)
FULL, FULL_OBJECTS = Size(services=10_000, rules=3_000, namespaces=100), 10_000
QUICK, QUICK_OBJECTS = Size(services=1_000, rules=300, namespaces=100), 1_000

NOTE = "one process without a worker, in CPU time of its one thread; a change counts from its plain data to new tables"


def run(options: Options) -> Outcome:
    """A case for each size; its figures are what tables_job.py measures in a process of its own."""
    sizes, count = ((QUICK, QUICK_ROUTED), QUICK_OBJECTS) if options.quick else ((FULL, ROUTED), FULL_OBJECTS)
    outcome = Outcome([], [], [NOTE])
    wanted = {
        **{str(size): ["compile", *map(str, size)] for size in sizes},
        f"{count:,} objects of YAML": ["parse", str(count)],
    }
    for case, arguments in wanted.items():
        if options.wants(case):
            for name, value in jobs.run("tables_job", arguments).items():
                outcome.figures.append(figure(case, name, value))
    return outcome


def figure(case: str, name: str, value: float) -> Figure:
    if name == "memory":
        return Figure(f"{case}: {name}", "", "value", value, "MiB")
    if name.startswith("one "):
        return Figure(f"{case}: {name}", "", "value", value * 1000, "ms")
    return Figure(f"{case}: {name}", "", "value", value, "s")
