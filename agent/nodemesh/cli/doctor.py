"""`nodemesh doctor`: what of this machine helps or hinders the mesh, each finding with its mend."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .layout import fitted
from .output import format_option, print_json, terminal_width

if TYPE_CHECKING:
    from ..datapath.pins import Pins
    from ..datapath.probes import ProbeResult

MARKS = {"ok": "ok     ", "unknown": "unknown", "warning": "warning", "failed": "FAILED "}

#: Below the names, where a line goes on.
INDENT = " " * 9

#: The exit codes beside 0.
CANNOT, UNKNOWN = 1, 3


@click.command()
@click.option("--cgroup", default="", metavar="DIR", help="Look for foreign programs at this cgroup (a pod's).")
@click.option("--quick", is_flag=True, help="Leave out the torture of sockmap, which takes seconds.")
@click.option("--bpffs", default="/sys/fs/bpf", hidden=True)
@format_option("text", "json")
def doctor(cgroup: str, quick: bool, bpffs: str, form: str) -> None:
    """Check kernel, cgroups, capabilities and foreign programs, and make a test connection. Exit code 1 if redirects
    cannot work, 3 if this user cannot find out."""
    findings = []
    for finding in _findings(cgroup, bpffs, quick):
        findings.append(finding)
        if form == "text":
            mend = f"; {finding.mend}" if finding.mend else ""
            line = f"{MARKS[finding.verdict.value]}  {finding.name}: {finding.found}{mend}"
            click.echo(fitted(line, terminal_width(), INDENT))
    if form == "json":
        print_json([finding._asdict() for finding in findings])
    verdicts = {finding.verdict.value for finding in findings}
    sys.exit(CANNOT if "failed" in verdicts else UNKNOWN if "unknown" in verdicts else 0)


def _findings(cgroup: str, bpffs: str, quick: bool) -> Iterator[ProbeResult]:
    from ..datapath import probes
    from ..datapath.loader import is_compiled
    from ..node.kernel import sources

    found = probes.probe(Path(cgroup) if cgroup else None, is_compiled(sources()))
    yield from found
    if probes.lacking():
        yield probes.ProbeResult(
            "self-test", probes.ProbeVerdict.UNKNOWN, "cannot be tried by this process", "run as root"
        )
    elif not probes.failures(found):
        yield from _self_tests(Path(bpffs), quick)


def _self_tests(bpffs: Path, quick: bool) -> Iterator[ProbeResult]:
    """A test connection and, unless it is to be quick, the torture of sockmap, through programs of their own beside
    those of a running agent."""
    from ..datapath import cgroups
    from ..datapath.loader import LoadError, load
    from ..datapath.maps import LAYOUT, Maps
    from ..datapath.pins import Pins
    from ..datapath.probes import ProbeResult, ProbeVerdict
    from ..datapath.selftest import self_test
    from ..datapath.uninstall import uninstall
    from ..node.kernel import sources

    pins = Pins(bpffs / f"nodemesh-doctor-{os.getpid()}", LAYOUT)
    try:
        load(sources(), pins)
        with Maps(pins) as maps:
            maps.configure()
        yield self_test(pins, cgroups.find_mount(), beat=True)
        if not quick:
            yield _sockmap(pins)
    except LoadError as error:
        log = Path(tempfile.gettempdir(), "nodemesh-doctor.log")
        log.write_text(error.log)
        yield ProbeResult("self-test", ProbeVerdict.FAILED, f"the programs cannot be loaded ({error})", f"see {log}")
    finally:
        uninstall(pins)


def _sockmap(pins: Pins) -> ProbeResult:
    """Nothing needs it, so it cannot fail."""
    from ..datapath import cgroups
    from ..datapath.loader import LoadError, load_sockmap
    from ..datapath.maps import Maps
    from ..datapath.probes import ProbeResult, ProbeVerdict
    from ..datapath.torture.run import torture
    from ..node.kernel import sources

    try:
        load_sockmap(sources(), pins)
    except LoadError as error:
        return ProbeResult("sockmap", ProbeVerdict.OK, f"not to be had here ({error}); nothing needs it")
    if sys.stderr.isatty():
        click.echo(f"{INDENT}sockmap is tried for some seconds (--quick leaves it out)", err=True)
    with Maps(pins) as maps:
        maps.configure(heartbeat_limit=60.0)  # of beats between two cases
    verdict = torture(pins, cgroups.find_mount(), beat=True)
    if verdict.wrong:
        return ProbeResult(
            "sockmap", ProbeVerdict.WARNING, f"not sound here ({verdict})", "leave MeshConfig's sockmap off"
        )
    return ProbeResult("sockmap", ProbeVerdict.OK, str(verdict))
