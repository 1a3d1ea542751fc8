import pytest

from nodemesh.config.cel import DEEPEST, LONGEST, CelError, fields_of, parse, parse_filter, parse_value


@pytest.mark.parametrize(
    "text",
    [
        "response.code >= 400",
        "response.code==-1||!has(response.code)",
        "xds.cluster_name == 'BlackHoleCluster' && !(request.path == \"/x\")",
        "'x-id' in request.headers && request.headers['x-id'].startsWith('a')",
        "request.url_path.matches(r'^/api/\\d+')",
        "response.code in [200, 404]",
        "request.method == 'GET' ? true : false",
        "string(response.code).endsWith('4') && size(request.path) > 10",
        "int(request.headers['n']) < 3",
        "!!connection.mtls",
    ],
)
def test_filters(text):
    assert parse_filter(text).type == "bool"


@pytest.mark.parametrize(
    ("text", "says", "offset"),
    [
        ("response.cod == 2", "there is no attribute `response.cod`", 0),
        ("response.code == '2'", "int and string cannot be compared", 0),
        ("true < false", "no order", 0),
        ("response.code >", "the end stands where", 15),
        ("response.code == 2 response", "an operator", 19),
        ("request.path.lower()", "no method", 13),
        ("request.path.contains(2)", "a string is to be", 22),
        ("request.path.matches('(')", "RE2", 21),
        ("request.path['a'] == 'b'", "only headers and trailers", 0),
        ("request.path == 'a\\q'", "no escape", 16),
        ("$x", "nothing that is understood", 0),
        ("response.code in ['a']", "`in` looks for a int", 0),
        ("request.path + 2 == 'a'", "`+` joins strings", 0),
        ("has(2)", "has() does not take", 0),
        ("has(request.headers)", "has() does not take a map", 0),
        ("request.headers in [request.headers]", "a list is of words", 20),
        ("[1] in [[1]]", "a list is of words", 8),
        ("'x' in (true ? request.headers : response.headers)", "a choice is between words", 8),
        ("response.code", "true or false", 0),
        ("(" * (DEEPEST + 1), "nests at most", DEEPEST),
        ("a" * (LONGEST + 1), "at most", 0),
        ("", "the end", 0),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, says, offset):
    with pytest.raises(CelError) as error:
        parse_filter(text)
    assert says in str(error.value) and error.value.offset == offset


def test_negations_cost_no_depth():
    assert parse_filter("!" * 2001 + "connection.mtls").name == "!"


def test_sums_cost_no_depth():
    assert len(parse_value("+".join(["''"] * 1300)).parts) == 1300


def test_values_are_single():
    assert parse_value("request.host").type == "string"
    with pytest.raises(CelError):
        parse_value("request.headers")


def test_the_fields_that_an_expression_reads():
    text = "'X-A' in request.headers && response.headers['b'] == response.trailers['c'] && request.referer != 'x'"
    assert fields_of(parse(text)) == {"request": {b"x-a", b"referer"}, "response": {b"b"}, "trailers": {b"c"}}
