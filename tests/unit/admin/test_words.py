"""Rules in words."""

import pytest

from nodemesh.admin.words import action_words, match_words, words


@pytest.mark.parametrize(
    ("matches", "said"),
    [
        ([], ""),
        ([{}], "all"),
        ([{"uri": {"prefix": "/canary"}}], "uri = /canary…"),
        (
            [{"headers": {"end-user": {"exact": "jason"}, "x": {}}, "method": {"regex": "P.*"}}, {"port": 80}],
            "header end-user = jason and header x and method ~ P.* or port 80",
        ),
        ([{"withoutHeaders": {"a": {"exact": "b"}}, "ignoreUriCase": True}], "no header a = b and ignoreUriCase on"),
        ([{"sniHosts": ["a.example", "b.example"]}], "sniHosts a.example, b.example"),
        ([{"path": {"value": "/shop"}, "headers": [{"name": "a", "value": "b"}]}], "path = /shop/… and header a = b"),
        ([{"path": {"type": "Exact", "value": "/"}}], "path = /"),
        ([{"path": {"value": "/"}}], "path = /…"),
    ],
)
def test_matches(matches, said):
    assert match_words(matches) == said


def test_actions():
    split = [
        {"destination": {"host": "reviews", "subset": "v1"}, "weight": 90},
        {"destination": {"host": "reviews", "subset": "v3", "port": {"number": 80}}, "weight": 10},
    ]
    assert action_words({"route": split, "timeout": "0.2s"}) == "reviews v1 90 %, reviews:80 v3 10 %; timeout 0.2s"
    fault = {"abort": {"percentage": {"value": 20.0}, "httpStatus": 555}}
    assert action_words({"fault": fault}) == "fault (abort (percentage 20, httpStatus 555))"
    assert action_words(
        {"route": [{"destination": {"host": "a"}, "headers": {"request": {"remove": ["x", "y"]}}}]}
    ) == ("a (headers (request (remove x, y)))")
    assert words([{"name": "reviews", "port": 9080}]) == "(name reviews, port 9080)" and action_words({}) == ""
