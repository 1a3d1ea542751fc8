"""What the pages for operators name is there: links, flags, metrics, commands, settings."""

import re
from pathlib import Path

import msgspec
import pytest
from tests.unit.node.numbers import FULL

from nodemesh.cli.main import COMMANDS
from nodemesh.config.meshconfig import MeshConfigSpec, PodLimits
from nodemesh.node.metrics import families, page_families
from nodemesh.proxy.http.local_reply import REPLIES
from nodemesh.reasons import TEXTS
from nodemesh.registry.sources.cluster import ResourceStatus
from nodemesh.registry.sources.reflector import Phase

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "manifests" / "docs"
PAGES = sorted(DOCS.iterdir())
EVERY_PAGE = [
    *sorted(ROOT.glob("*.md")),
    *(path for folder in ("bpf", "manifests", "tests", "vagrant") for path in sorted((ROOT / folder).rglob("*.md"))),
]

named = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


every = pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: str(page.relative_to(ROOT)))


@every
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or found.suffix != ".md" or anchor in anchors(found), target


@every
def test_files_that_are_named_are_there(page):
    """By the path from the repository's root, or from the page's folder."""
    paths = re.findall(r"`((?:agent|bpf|manifests|tests|vagrant|\.ci)/[\w./-]+)`", page.read_text())
    assert [path for path in paths if not (ROOT / path).exists() and not (page.parent / path).exists()] == []


def test_the_reliability_cases_name_tests_that_there_are():
    table = (ROOT / "bpf" / "README.md").read_text().partition("| case | what must hold | test |")[2]
    names = {name for row in table.splitlines() for name in re.findall(r"`([\w./]+)`", row.rpartition(" | ")[2])}
    tests = ROOT / "tests"
    assert len(names) > 20
    assert [
        name
        for name in sorted(names - {"vagrant/boot"})
        if not any(
            (tests / found).exists() for found in (name, f"netns/test_{name}.py", f"netns/test_datapath_{name}.py")
        )
    ] == []


def test_every_page_is_named_in_both_readmes():
    for readme, folder in ((ROOT / "README.md", "manifests/docs"), (ROOT / "manifests" / "README.md", "docs")):
        assert [page.name for page in PAGES if f"({folder}/{page.name})" not in readme.read_text()] == []


def test_troubleshooting_explains_every_flag_and_no_other():
    rows = re.findall(r"^\| [^|]*`[A-Z]{2,4}`[^|]*\|", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    told = {flag for row in rows for flag in re.findall(r"`([A-Z]{2,4})`", row)}
    assert told == {text.flag for text in TEXTS.values()} - {"-"}


def test_statuses_are_those_that_the_proxy_answers_with():
    text = (DOCS / "troubleshooting.md").read_text()
    rows = re.findall(r"^\| ((?:\d{3}(?:, )?)+)[^|]*?(?:`(\w+)`[^|]*)?\|", text, re.MULTILINE)
    told = {(int(status), flag or "-") for statuses, flag in rows for status in re.findall(r"\d{3}", statuses)}
    answers = {(reply.status, TEXTS[reason].flag) for reason, reply in REPLIES.items()}
    assert len(told) > 12 and told - {(408, "SI")} <= answers, told - answers


@named
def test_metrics_commands_and_settings_exist(page):
    text = page.read_text()
    watch = ResourceStatus(name="Pod", phase=Phase.WATCHING, objects=1, events=1, starts=1, failures=0, error="")
    full = msgspec.structs.replace(FULL, watches=[watch], api_server_silent=1.0)
    metrics = {family.name for family in (*families(full), *page_families((), 1.0))}
    asked = set(re.findall(r"\bnodemesh_[a-z_]+", text))
    assert asked <= metrics | {f"{name}_total" for name in metrics}, asked - metrics
    commands = set(re.findall(r"(?:`|    )nodemesh ([a-z]+)\b", text))
    assert commands <= COMMANDS.keys() | {"test"}, commands - COMMANDS.keys()
    limits = set(re.findall(r"`limits\.(\w+)`", text))
    assert limits <= {field.encode_name for field in msgspec.structs.fields(PodLimits)}


def test_limits_are_those_in_force():
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", (DOCS / "sizing.md").read_text(), re.MULTILINE))
    limits = MeshConfigSpec().limits
    assert rows["connections of a pod through the proxy"] == f"{limits.connections:,}"
    assert rows["requests of a pod in flight"] == f"{limits.requests:,}"
    megabytes = (limits.buffered_bytes >> 20, limits.node_buffered_bytes >> 20)
    assert rows["buffered bytes of a pod, of a node's pods together"] == "{} MiB, {} MiB".format(*megabytes)
