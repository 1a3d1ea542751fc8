"""What a namespace's author may have the workers do for each request."""

from nodemesh.config.validate.telemetry import CHARACTERS, CUSTOM_NAME, CUSTOM_TAGS, ENTRIES, EXPRESSIONS, REGEXES, TAGS

API = "telemetry.istio.io/v1"


def metrics(*overrides):
    return {"metrics": [{"overrides": list(overrides)}]}


def labels(count, value="request.host", name="a"):
    return {"tagOverrides": {f"{name}{number}": {"value": value} for number in range(count)}}


def test_an_objects_expressions_are_bounded_together(told):
    assert told("Telemetry", metrics(labels(TAGS), labels(TAGS, name="b")), API) == []
    many = metrics(labels(TAGS), labels(TAGS, name="b"), labels(EXPRESSIONS - 2 * TAGS + 1, name="c"))
    assert told("Telemetry", many, API) == ["too-many spec"]
    long = f"request.path == '{'a' * 2000}'"
    assert told("Telemetry", metrics(labels(CHARACTERS // len(long), long)), API) == []
    assert told("Telemetry", metrics(labels(CHARACTERS // len(long) + 1, long)), API) == ["too-many spec"]
    filters = [{"filter": {"expression": "request.path.matches('a')"}}] * (REGEXES + 1)
    assert told("Telemetry", {"accessLogging": filters[1:]}, API) == []
    assert told("Telemetry", {"accessLogging": filters}, API) == ["too-many spec"]


def test_an_objects_entries_are_bounded(told):
    assert told("Telemetry", metrics(*[{"disabled": True}] * ENTRIES), API) == []
    both = metrics(*[{"disabled": True}] * ENTRIES) | {"accessLogging": [{"disabled": True}]}
    assert told("Telemetry", both, API) == ["too-many spec"]


def test_tags_of_spans_are_bounded(told):
    tag = {"literal": {"value": "a"}}
    for count, found in ((CUSTOM_TAGS, []), (CUSTOM_TAGS + 1, ["too-many spec"])):
        tags = {f"t{number}": tag for number in range(count)}
        assert told("Telemetry", {"tracing": [{"customTags": tags}]}, API) == found
    name = "n" * (CUSTOM_NAME + 1)
    found = told("Telemetry", {"tracing": [{"customTags": {name: tag}}]}, API)
    assert found == [f"missing-field spec.tracing[0].customTags.{name}"]


def test_nobody_counts_under_anothers_name(told):
    for name in ("source_workload_namespace", "destination_workload_namespace", "destination_service"):
        found = told("Telemetry", metrics({"tagOverrides": {name: {"value": "'victim'"}}}), API)
        assert found == [f"bad-label spec.metrics[0].overrides[0].tagOverrides.{name}"]
        assert told("Telemetry", metrics({"tagOverrides": {name: {"operation": "REMOVE"}}}), API) == []
