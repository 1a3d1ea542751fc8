"""`nodemesh doctor`: what of this machine helps or hinders the mesh, each finding with its mend."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .output import format_option, print_json

if TYPE_CHECKING:
    from ..datapath.probes import Finding

MARKS = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}


@click.command()
@click.option("--cgroup", default="", metavar="DIR", help="Look for foreign programs at this cgroup (a pod's).")
@click.option("--bpffs", default="/sys/fs/bpf", hidden=True)
@format_option("text", "json")
def doctor(cgroup: str, bpffs: str, form: str) -> None:
    """Check kernel, cgroups, capabilities and foreign programs, and make a test connection. Exit code 1 if redirects
    cannot work."""
    findings = [*_findings(cgroup, bpffs)]
    if form == "json":
        print_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            mend = f"; {finding.mend}" if finding.mend else ""
            click.echo(f"{MARKS[finding.verdict.value]}  {finding.name}: {finding.found}{mend}")
    sys.exit(any(finding.verdict.value == "failed" for finding in findings))


def _findings(cgroup: str, bpffs: str) -> Iterator[Finding]:
    from ..datapath import probes

    found = probes.probe(Path(cgroup) if cgroup else None)
    yield from found
    if not probes.failures(found):
        yield _self_test(Path(bpffs))


def _self_test(bpffs: Path) -> Finding:
    """A test connection through programs of its own, beside those of a running agent."""
    from ..datapath import cgroups
    from ..datapath.loader import LoadError, load
    from ..datapath.maps import LAYOUT, Maps
    from ..datapath.pins import Pins
    from ..datapath.probes import Finding, Verdict
    from ..datapath.selftest import self_test
    from ..datapath.uninstall import uninstall
    from ..node.kernel import sources

    pins = Pins(bpffs / f"nodemesh-doctor-{os.getpid()}", LAYOUT)
    try:
        load(sources(), pins)
        with Maps(pins) as maps:
            maps.configure()
        return self_test(pins, cgroups.find_mount(), beat=True)
    except LoadError as error:
        log = Path(tempfile.gettempdir(), "nodemesh-doctor.log")
        log.write_text(error.log)
        return Finding("self-test", Verdict.FAILED, f"the programs cannot be loaded ({error})", f"see {log}")
    finally:
        uninstall(pins)
