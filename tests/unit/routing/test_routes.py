from tests.meshes import bookinfo, make, request, view_of

from nodemesh.routing.decision import Fault, HeaderOp, HeaderOps, Redirect, Retry, Rewrite, Route

TO = {"destination": {"host": "reviews"}}


def decide(*objects, path="/", **rule):
    rule = rule if {"redirect", "directResponse"} & rule.keys() else {"route": [TO], **rule}
    virtual_service = make("VirtualService", "reviews", {"hosts": ["reviews"], "http": [rule]})
    view = view_of(*bookinfo(), virtual_service, *objects)
    return view.http(view.frontend("10.96.0.10", 9080), request(path))


def to(name, weight, headers=None):
    return {"destination": {"host": name}, "weight": weight, **({"headers": headers} if headers else {})}


def test_weights():
    decision = decide(route=[to("reviews", 3), to("ratings", 0), to("ratings", 5)])
    assert [entry.weight for entry in decision.destinations] == [3, 5] and decision.total_weight == 8
    single = decide(route=[to("reviews", 0)])
    assert [entry.weight for entry in single.destinations] == [100] and single.total_weight == 100


def test_default_retries_are_istios():
    expected = frozenset({"connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes"})
    assert decide().retry == Retry(attempts=2, on=expected)
    assert decide(retries={}).retry is None
    assert decide(retries={"attempts": 0}).retry is None


def test_retries():
    retry = decide(retries={"attempts": 3, "retryOn": "5xx, 503", "perTryTimeout": 2, "backoff": 0.1}).retry
    assert (retry.attempts, retry.per_try_timeout) == (3, 2.0)
    assert retry.on == {"5xx", "retriable-status-codes"} and retry.status_codes == {503}
    assert (retry.backoff_base, retry.backoff_max) == (0.1, 1.0)
    given = make("MeshConfig", "m", {"defaultHttpRetryPolicy": {"attempts": 7, "retryOn": "reset"}})
    assert decide(given).retry.attempts == 7
    hashed = make(
        "DestinationRule",
        "aa",
        {"host": "reviews", "trafficPolicy": {"loadBalancer": {"consistentHash": {"useSourceIp": True}}}},
    )
    assert decide(hashed).retry.ignore_previous_hosts is False and decide().retry.ignore_previous_hosts


def test_what_a_rule_says_of_the_hosts_before_holds_with_a_consistent_hash_too():
    hashed = make(
        "DestinationRule",
        "aa",
        {"host": "reviews", "trafficPolicy": {"loadBalancer": {"consistentHash": {"useSourceIp": True}}}},
    )
    for objects, said, holds in (
        ((hashed,), {}, False),
        ((hashed,), {"retryIgnorePreviousHosts": True}, True),
        ((hashed,), {"retryIgnorePreviousHosts": False}, False),
        ((), {}, True),
        ((), {"retryIgnorePreviousHosts": True}, True),
        ((), {"retryIgnorePreviousHosts": False}, False),
    ):
        assert decide(*objects, retries={"attempts": 1, **said}).retry.ignore_previous_hosts is holds
    mesh = make("MeshConfig", "m", {"defaultHttpRetryPolicy": {"attempts": 1, "retryIgnorePreviousHosts": True}})
    assert decide(hashed, mesh).retry.ignore_previous_hosts


def test_faults_without_a_percentage_never_happen():
    assert decide(fault={"abort": {"httpStatus": 500}}).fault is None
    assert decide(fault={"delay": {"fixedDelay": 1}}).fault is None
    half = {"percentage": {"value": 50}}
    assert decide(fault={"delay": {"fixedDelay": 1, "percent": 10}}).fault == Fault(delay=1.0, delay_percent=10.0)
    grpc = decide(fault={"abort": {"grpcStatus": "UNAVAILABLE", **half}}).fault
    assert (grpc.abort_grpc, grpc.abort_status, grpc.abort_percent) == (14, 0, 50.0)


def test_one_destinations_headers_join_the_rules_and_win():
    decision = decide(
        headers={"request": {"set": {"x": "route", "Y": "1"}, "remove": ["gone"]}},
        route=[to("reviews", 1, {"request": {"set": {"x": "dest"}, "add": {"z": "%REQ(a)%"}}})],
    )
    assert decision.request_headers == HeaderOps(
        remove=(b"gone",),
        set=(HeaderOp(name=b"y", value=b"1"), HeaderOp(name=b"x", value=b"dest")),
        add=(HeaderOp(name=b"z", value=b"%REQ(a)%", formatted=True),),
        formatted=True,
    )
    assert decision.destinations[0].request_headers is None


def test_several_destinations_keep_their_own_headers():
    decision = decide(route=[to("reviews", 1, {"request": {"set": {"x": "a"}}}), to("ratings", 1)])
    assert decision.request_headers is None
    assert decision.destinations[0].request_headers.set == (HeaderOp(name=b"x", value=b"a"),)


def test_who_writes_the_authority():
    by_rewrite = decide(rewrite={"authority": "one"}, headers={"request": {"set": {"host": "two"}}})
    assert by_rewrite.rewrite.authority == b"one" and by_rewrite.request_headers is None
    by_headers = decide(headers={"request": {"set": {":authority": "two"}}}, route=[to("reviews", 1)])
    assert by_headers.rewrite == Rewrite(authority=b"two")
    own = {"request": {"set": {"Host": "three"}}}
    assert decide(route=[to("reviews", 1, own)]).destinations[0].authority == b"three"
    both = decide(headers={"request": {"set": {"host": "two"}}}, route=[to("reviews", 1, own)])
    assert both.rewrite.authority == b"two" and both.destinations[0].authority == b""


def test_rewrite_replaces_what_was_matched():
    assert decide(rewrite={"uri": "/x"}).rewrite == Rewrite(uri=b"/x", prefix=1)
    prefix = decide(match=[{"uri": {"prefix": "/a/"}}], rewrite={"uri": "/x"}, path="/a/b")
    assert prefix.rewrite == Rewrite(uri=b"/x", prefix=3)
    exact = decide(match=[{"uri": {"exact": "/a"}}], rewrite={"uri": "/x"}, path="/a")
    assert exact.rewrite == Rewrite(uri=b"/x", prefix=-1)


def test_redirects():
    found = decide(redirect={"uri": "/new", "authority": "b", "redirectCode": 308})
    assert isinstance(found, Redirect) and (found.status, found.uri, found.authority) == (308, b"/new", b"b")
    assert decide(redirect={"uri": "/new"}).status == 301
    derived = decide(redirect={"uri": "/", "derivePort": "FROM_REQUEST_PORT"})
    assert derived.from_request_port
    unusable = decide(redirect={"uri": "/new", "redirectCode": 304})
    assert isinstance(unusable, Route)  # a rule without an action is dropped


def test_mirrors():
    one = decide(mirror={"host": "ratings"}, mirrorPercentage={"value": 5}).mirrors
    assert [(entry.cluster.service, entry.percent) for entry in one] == [("ratings", 5.0)]
    assert [entry.percent for entry in decide(mirror={"host": "ratings"}).mirrors] == [100.0]
    several = [{"destination": {"host": "ratings"}, "percentage": {"value": 0}}, {"destination": {"host": "gone"}}]
    assert [entry.cluster for entry in decide(mirrors=several).mirrors] == [None]


def test_cors():
    cors = decide(corsPolicy={"allowOrigins": [{"exact": "http://a"}, {"regex": "http://.+\\.b"}], "maxAge": 60}).cors
    assert cors.allow_origin(b"http://a") and cors.allow_origin(b"http://x.b") and not cors.allow_origin(b"http://c")
    assert cors.max_age == b"60" and cors.forward_unmatched
    assert decide(corsPolicy={"allowOrigins": [{"exact": "*"}]}).cors.allow_origin(b"anything")
    assert not decide(corsPolicy={}).cors.allow_origin(b"anything")


def test_the_destinations_port():
    assert decide(route=[{"destination": {"host": "ratings", "port": {"number": 9080}}}]).destinations[0].cluster
    missing = decide(route=[{"destination": {"host": "ratings", "port": {"number": 1}}}]).destinations[0]
    assert missing.cluster is None and missing.cluster_name == "outbound|1||ratings.default.svc.cluster.local"


def test_names_of_rule_and_match_make_the_routes_name():
    assert decide(name="rule", match=[{"name": "match"}]).name == "rule.match"
    assert decide().name == "" and decide().rule.path == "spec.http[0]"
