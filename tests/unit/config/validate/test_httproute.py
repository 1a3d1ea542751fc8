ROUTE = [{"destination": {"host": "a"}}]


def test_every_part_of_a_route_is_judged(told):
    rule = {
        "route": [{"destination": {"host": "*"}, "weight": -1}, {"destination": {"host": "b"}}],
        "match": [{"port": 0}],
        "headers": {"response": {"set": {"host": "x"}}},
        "mirror": {"subset": "v1"},
        "rewrite": {},
        "retries": {"attempts": -1},
        "fault": {"abort": {"httpStatus": 1, "percentage": {"value": 1}}},
        "corsPolicy": {"allowMethods": ["X"]},
        "timeout": "0s",
    }
    assert sorted(told("VirtualService", {"hosts": ["a"], "http": [rule]})) == [
        "bad-duration spec.http[0].timeout",
        "bad-header spec.http[0].headers.response.set.host",
        "bad-host spec.http[0].route[0].destination.host",
        "bad-method spec.http[0].corsPolicy.allowMethods[0]",
        "bad-port spec.http[0].match[0].port",
        "bad-status spec.http[0].fault.abort.httpStatus",
        "bad-weight spec.http[0].route[0].weight",
        "empty-rewrite spec.http[0].rewrite",
        "missing-field spec.http[0].mirror.host",
        "out-of-range spec.http[0].retries.attempts",
    ]


def test_a_large_body(told):
    def found(size):
        response = {"status": 200, "body": {"string": "x" * size}}
        return told("VirtualService", {"hosts": ["a"], "http": [{"directResponse": response}]})

    assert found(100 * 1024) == []
    assert found(100 * 1024 + 1) == ["body-large spec.http[0].directResponse.body"]
    assert found(1024 * 1024 + 1) == ["body-too-large spec.http[0].directResponse.body"]


def test_a_destination_may_set_the_authority_as_well(told):
    inner = [{"destination": {"host": "a"}, "headers": {"request": {"set": {":authority": "x"}}}}]
    assert told("VirtualService", {"hosts": ["a"], "http": [{"route": inner, "rewrite": {"authority": "z"}}]}) == []


def test_claims_in_a_delegate_wait_for_its_root(told):
    rule = {"route": ROUTE, "match": [{"headers": {"@request.auth.claims.sub": {"exact": "x"}}}]}
    assert told("VirtualService", {"http": [rule]}) == []
    assert told("VirtualService", {"hosts": ["a"], "http": [rule]}) != []
