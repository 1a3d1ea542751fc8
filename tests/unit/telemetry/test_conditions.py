import pytest
from tests.unit.telemetry.samples import connection, request

from nodemesh.config.cel import ATTRIBUTES, BOOL, MAP
from nodemesh.reasons import Reason
from nodemesh.telemetry.conditions import JOINED, LOOKED_AT, condition, is_constant, text_of


def sample(**fields):
    record = request(status=404)
    record.fields = {b"x-id": b"a1"}
    for name, value in fields.items():
        setattr(record, name, value)
    return record


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("response.code >= 400 && response.code < 500", True),
        ("response.code == 200 || request.method == 'GET'", True),
        ("request.url_path == '/reviews/1' && request.query == 'full=1'", True),
        ("request.path.contains('full') && request.host.startsWith('reviews')", True),
        ("request.path.matches('^/reviews')", True),
        ("request.path.matches('full=.$') && !request.path.matches('^full')", True),
        ("'x-id' in request.headers && request.headers['X-Id'] == 'a1'", True),
        ("request.headers['absent'] == 'a1'", False),
        ("request.headers['absent'] != 'a1'", False),
        ("request.headers['absent'] == 'a' || response.code == 404", True),
        ("response.code == 404 || request.headers['absent'] == 'a'", True),
        ("request.headers['absent'] == 'a' && response.code == 404", False),
        ("!('absent' in request.headers)", True),
        ("request.headers[':path'] == request.path", True),
        ("response.code in [404, 503]", True),
        ("xds.cluster_name.endsWith('reviews.default.svc.cluster.local')", True),
        ("upstream.port == 9080 && destination.port == 9080 && source.address.startsWith('10.0.0.1')", True),
        ("has(response.grpc_status)", False),
        ("(response.code > 500 ? 'bad' : 'good') + string(response.code) == 'good404'", True),
        ("int(request.headers['x-id']) == 1", False),
        ("size(request.method) == 3 && !connection.mtls", True),
        ("response.code_details == 'via_upstream'", True),
    ],
)
def test_filters(text, holds):
    assert condition(text)(sample()) is holds


def test_a_response_that_never_came_is_found_by_its_code():
    record = sample(status=0, reasons=(Reason.DOWNSTREAM_CONNECTION_TERMINATION,))
    assert condition("response.code < 200")(record) and not condition("has(response.code)")(record)


def test_connections_have_no_request():
    assert not condition("response.code >= 0")(connection(1, 2))
    assert condition("upstream.address == '10.0.0.7:9080'")(connection(1, 2))


def test_values_of_labels():
    assert text_of("request.host", "unknown")(sample()) == "reviews:9080"
    assert text_of("request.headers['no']", "unknown")(sample()) == "unknown"
    assert text_of("response.code == 404", "unknown")(sample()) == "true"
    assert is_constant("'a' + 'b'") and not is_constant("'a' + request.host")


@pytest.mark.parametrize("name", [name for name, kind in ATTRIBUTES.items() if kind != MAP])
def test_every_attribute_is_read_of_both_kinds_of_records(name):
    """An error here is another client's: records are accounted for together."""
    texts = [f"has({name})", *([] if ATTRIBUTES[name] == BOOL else [f"string({name}) + 'x' == 'x'"])]
    for text in texts:
        assert condition(text)(sample()) in (True, False)
        assert condition(text)(connection(1, 2)) in (True, False)


def test_what_clients_make_long_is_looked_at_in_part():
    record = sample(path=b"/" + b"a" * LOOKED_AT + b"b")
    assert condition("request.path.startsWith('/a') && request.path.matches('aa')")(record)
    assert not condition("request.path.contains('b')")(record)
    assert condition(f"size(request.path) == {LOOKED_AT}")(record)


def test_sums_are_deep_and_bounded():
    assert text_of("+".join(["'a'"] * 1000), "unknown")(sample()) == "a" * 1000
    record = sample(path=b"a" * LOOKED_AT)
    assert len(text_of("+".join(["request.path"] * (JOINED // LOOKED_AT)), "unknown")(record)) == JOINED
    assert text_of("+".join(["request.path"] * (JOINED // LOOKED_AT + 1)), "unknown")(record) == "unknown"
