from tests.meshes import make, pod, service, view_of

from nodemesh.reasons import Reason
from nodemesh.routing.decision import Failure, Route

OBJECTS = [
    service("db", "10.96.0.1", (5432, "tcp"), (443, "https"), (7000, "")),
    service("other", "10.96.0.2", (5432, "tcp")),
    pod("p", "10.1.0.1", {"app": "db"}),
]
TO_OTHER = {"route": [{"destination": {"host": "other"}}]}
TO_DB = {"route": [{"destination": {"host": "db"}}]}


def view(**spec):
    labels = spec.pop("labels", {})
    return view_of(*OBJECTS, make("VirtualService", "db", {"hosts": ["db"], **spec}), labels=labels)


def target(decision):
    assert isinstance(decision, Route), decision
    return decision.destinations[0].cluster_name.split("|")[-1].split(".")[0]


def test_without_rules_a_connection_goes_to_its_service():
    plain = view_of(*OBJECTS)
    assert target(plain.tcp(plain.frontend("10.96.0.1", 5432))) == "db"
    assert target(plain.tls(plain.frontend("10.96.0.1", 443), "anything")) == "db"


def test_tcp_rules_match_port_subnet_and_client():
    found = view(
        tcp=[
            {"match": [{"port": 1}], **TO_DB},
            {"match": [{"sourceLabels": {"app": "x"}}], **TO_DB},
            {"match": [{"port": 5432, "destinationSubnets": ["10.96.0.0/16"]}], **TO_OTHER},
        ]
    )
    assert target(found.tcp(found.frontend("10.96.0.1", 5432))) == "other"
    missed = view(tcp=[{"match": [{"destinationSubnets": ["192.0.2.0/24"]}], **TO_OTHER}])
    decision = missed.tcp(missed.frontend("10.96.0.1", 5432))
    assert isinstance(decision, Failure) and decision.reason is Reason.ROUTE_NOT_FOUND


def test_rules_for_other_ports_leave_the_default():
    found = view(tcp=[{"match": [{"port": 1}], **TO_OTHER}])
    assert target(found.tcp(found.frontend("10.96.0.1", 5432))) == "db"


def test_tls_rules_go_by_server_name():
    found = view(
        tls=[
            {"match": [{"port": 443, "sniHosts": ["a.example.com", "*.b.example.com"]}], **TO_OTHER},
            {"match": [{"sniHosts": ["db"]}], **TO_DB},
        ]
    )
    frontend = found.frontend("10.96.0.1", 443)
    assert target(found.tls(frontend, "A.example.com")) == "other"
    assert target(found.tls(frontend, "x.b.example.com")) == "other"
    assert target(found.tls(frontend, "db")) == "db"
    assert isinstance(found.tls(frontend, "b.example.com"), Failure)
    assert isinstance(found.tls(frontend, ""), Failure)


def test_an_unknown_address_goes_by_the_server_name_that_the_registry_knows():
    entry = make(
        "ServiceEntry",
        "e",
        {"hosts": ["*.example.com"], "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}]},
    )
    found = view_of(*OBJECTS, entry)
    frontend = found.frontend("192.0.2.9", 443)
    assert found.tls(frontend, "a.example.com").destinations[0].cluster_name == "outbound|443||*.example.com"
    assert found.tls(frontend, "a.example.org").reason is Reason.PASSTHROUGH
    assert found.tcp(frontend).reason is Reason.PASSTHROUGH
