from pathlib import Path

from nodemesh.config.kinds import ISTIO_KINDS
from nodemesh.config.schema import walk
from nodemesh.config.support import NOTES, OTHERS, UNSUPPORTED_FIELDS, UNSUPPORTED_VALUES, rows, support_markdown

PAGE = Path(__file__).parents[3] / "manifests" / "SUPPORT.md"


def row(kind, path):
    (found,) = [row for row in rows() if (row.kind, row.path) == (kind, path)]
    return found


def test_the_written_page_is_in_step():
    assert PAGE.read_text() == support_markdown(), "write nodemesh.config.support.support_markdown() to it"


def test_every_field_has_one_row():
    paths = [(row.kind, row.path) for row in rows()]
    assert len(paths) == len(set(paths))
    for kind in ISTIO_KINDS:
        for path, *_ in walk(kind.spec):
            assert (kind.name, path) in paths


def test_what_has_no_effect_says_why():
    assert all(row.note for row in rows() if not row.supported)
    assert {row.note for row in rows() if row.supported} == {
        "", *NOTES.values(), *(row.note for row in OTHERS if row.supported),
    }  # fmt: skip


def test_the_reasons_name_fields_that_exist():
    fields = {(struct, name) for kind in ISTIO_KINDS for _, struct, name, _ in walk(kind.spec)}
    assert {*UNSUPPORTED_FIELDS, *NOTES} <= fields
    assert not UNSUPPORTED_FIELDS.keys() & NOTES.keys()
    assert {(struct, name) for struct, name, _ in UNSUPPORTED_VALUES} <= fields


def test_all_below_an_unsupported_field_is_unsupported():
    assert not row("Sidecar", "spec.ingress[].connectionPool.tcp.maxConnections").supported
    assert not row("DestinationRule", "spec.subsets[].trafficPolicy.loadBalancer.zoneAwareLbSetting.enabled").supported
    assert row("DestinationRule", "spec.trafficPolicy.tls.mode").supported
    assert not row("DestinationRule", "spec.trafficPolicy.tls.mode=ISTIO_MUTUAL").supported
    assert row("Sidecar", "spec.egress[].hosts").supported
