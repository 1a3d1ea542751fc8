import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.meshes import request

from nodemesh.routing.decision import Redirect, Rewrite, Route
from nodemesh.routing.policies import Substitution
from nodemesh.routing.rewrite import MAX_UNUSUAL, normalize_path, redirect_location, rewrite_path


def route(rewrite):
    return Route(destinations=(), total_weight=0, rewrite=rewrite)


@pytest.mark.parametrize(
    ("rewrite", "path", "after"),
    [
        (None, b"/x", b"/x"),
        (Rewrite(uri=b"/", prefix=4), b"/foo/bar", b"//bar"),
        (Rewrite(uri=b"/", prefix=5), b"/foo/bar", b"/bar"),
        (Rewrite(uri=b"/x", prefix=1), b"/a", b"/xa"),
        (Rewrite(uri=b"/whole", prefix=-1), b"/a/b", b"/whole"),
        (Rewrite(substitute=Substitution("/v(\\d+)", "/api/\\1")), b"/v1/v2", b"/api/1/api/2"),
        (Rewrite(substitute=Substitution("/none", "/x")), b"/a", b"/a"),
        (Rewrite(authority=b"other"), b"/a", b"/a"),
    ],
)
def test_rewrite_path(rewrite, path, after):
    assert rewrite_path(route(rewrite), path) == after


@pytest.mark.parametrize(
    ("redirect", "host", "port", "location"),
    [
        # the first four: Istio's own test cases for derivePort
        (Redirect(from_request_port=True), "b", 80, b"http://b/foo?q=1"),
        (Redirect(from_request_port=True), "b:80", 80, b"http://b:80/foo?q=1"),
        (Redirect(from_request_port=True), "b:85", 85, b"http://b:85/foo?q=1"),
        (Redirect(from_request_port=True, scheme=b"https"), "b:80", 80, b"https://b:80/foo?q=1"),
        (Redirect(uri=b"/new"), "b:9080", 9080, b"http://b:9080/new?q=1"),
        (Redirect(uri=b"/new?own=1"), "b", 80, b"http://b/new?own=1"),
        (Redirect(uri=b"/bar", prefix=2), "b", 80, b"http://b/baroo?q=1"),
        (Redirect(authority=b"c"), "b:80", 80, b"http://c/foo?q=1"),
        (Redirect(port=8443, scheme=b"https"), "b:80", 80, b"https://b:8443/foo?q=1"),
        (Redirect(scheme=b"https"), "b:80", 80, b"https://b/foo?q=1"),
        (Redirect(scheme=b"https"), "b:8080", 8080, b"https://b:8080/foo?q=1"),
        (Redirect(uri=b"/"), "[::1]", 80, b"http://[::1]/?q=1"),
    ],
)
def test_redirect_location(redirect, host, port, location):
    req = request("/foo?q=1", host)
    assert redirect_location(redirect, req, listener_port=port) == location


@pytest.mark.parametrize(
    ("path", "after"),
    [
        (b"/a/b", b"/a/b"),
        (b"/a/../b", b"/b"),
        (b"/a/./b", b"/a/b"),
        (b"/a/b/..", b"/a/"),
        (b"/a/b/.", b"/a/b/"),
        (b"/../../x", b"/x"),
        (b"/a//b", b"/a//b"),
        (b"/a\\b", b"/a/b"),
        (b"/a/%2e%2E/b", b"/b"),
        (b"/a%2Fb", b"/a%2Fb"),
        (b"/%61%7E%20", b"/a~%20"),
        (b"/.hidden/..x", b"/.hidden/..x"),
        (b"*", b"*"),
    ],
)
def test_normalize_path(path, after):
    assert normalize_path(path) == after


@pytest.mark.parametrize("part", [b"/.", b"/..", b"/.a", b"%61"])
def test_what_is_work_in_a_path_has_a_bound(part):
    normalize_path(b"/" + part * (MAX_UNUSUAL - 2))
    with pytest.raises(ValueError, match=str(MAX_UNUSUAL)):
        normalize_path(b"/" + part * MAX_UNUSUAL)


@given(st.lists(st.sampled_from([".", "..", "a", "", ".b", "..c"]), max_size=8))
def test_dots_are_resolved_one_after_the_other(segments):
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in (".", ".."):
        kept.append("")
    assert normalize_path(f"/{'/'.join(segments)}".encode()) == f"/{'/'.join(kept)}".encode()
