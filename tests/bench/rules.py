"""The mesh that every proxy of the HTTP suite is configured with: services, pods and ten rules."""

from __future__ import annotations

from typing import NamedTuple

HOST = "reviews"
NAMESPACE = "default"
PORT = 9080
ADDRESS = "10.96.77.10"  # the service's virtual IP, only ever a name here

#: Subset -> its pods' addresses. All of 127/8 is local, so pods differ by address as in a cluster.
SUBSETS = {"v1": ("127.77.0.11", "127.77.0.12"), "v2": ("127.77.0.21",), "v3": ("127.77.0.31",)}

#: Other services of the namespace: their hosts stand in the same route table.
NEIGHBOURS = {"ratings": "127.77.0.41", "details": "127.77.0.51", "productpage": "127.77.0.61"}

TIMEOUT = 15  # seconds, of each rule
ATTEMPTS = 2


class Rule(NamedTuple):
    """One HTTP rule of the VirtualService: conditions, then what is done."""

    name: str
    subset: str = "v1"
    prefix: str = ""
    headers: tuple[tuple[str, str], ...] = ()  # exact values
    rewrite: str = ""  # replaces the matched prefix
    redirect: str = ""  # the path of a 301, instead of a route


#: The load takes the last one, so each request is held against all ten.
RULES = (
    Rule("jason", subset="v2", headers=(("end-user", "jason"),)),
    Rule("canary", subset="v3", prefix="/beta/", headers=(("x-canary", "yes"),), rewrite="/"),
    Rule("tester", subset="v3", headers=(("x-tester", "1"), ("x-stage", "green"))),
    Rule("api-v1", subset="v1", prefix="/api/v1/", rewrite="/"),
    Rule("api-v2", subset="v2", prefix="/api/v2/", rewrite="/"),
    Rule("api-v3", subset="v3", prefix="/api/v3/", rewrite="/"),
    Rule("moved", prefix="/old/", redirect="/small"),
    Rule("static", subset="v2", prefix="/static/"),
    Rule("mobile", subset="v3", headers=(("x-device", "mobile"),)),
    Rule("default", subset="v1"),
)

#: What each rule's requests carry to the upstream, and each answer to the client.
REQUEST_HEADER = ("x-mesh", "bench")


def answer_header(rule: Rule) -> tuple[str, str]:
    return "x-rule", rule.name


def pods() -> dict[str, tuple[str, str, str]]:
    """Pod name -> (address, app, version)."""
    found = {
        f"{HOST}-{subset}-{number}": (address, HOST, subset)
        for subset, addresses in SUBSETS.items()
        for number, address in enumerate(addresses)
    }
    return found | {f"{app}-v1-0": (address, app, "v1") for app, address in NEIGHBOURS.items()}
