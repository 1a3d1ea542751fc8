"""What routing decides is carried out: every field of a decision is read by the code that serves traffic.

Together with `test_probes.py` this ties the API to the data path: a supported field changes a decision, and what it
changes there is read."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import nodemesh
from nodemesh.config.gateway import ServerTLSSettings, TLSCertificate
from nodemesh.config.support import UNSUPPORTED_FIELDS
from nodemesh.routing import decision, gateways

SOURCES = Path(nodemesh.__file__).parent

#: Packages and modules that serve traffic; routing's own are those that the proxy calls for each request.
SERVING = ("proxy", "balance", "datapath", "node", "telemetry", "routing/rewrite.py", "routing/gateways.py")

CARRIED_OUT = (
    decision.HeaderOp, decision.HeaderOps, decision.CookieAttribute, decision.HashPolicy, decision.Warmup,
    decision.LoadBalancer, decision.Outlier, decision.Keepalive, decision.ConnectionPool, decision.RetryBudgetPolicy,
    decision.UpstreamTls, decision.Priorities, decision.Cluster, decision.WeightedCluster, decision.Rewrite,
    decision.Retry, decision.Fault, decision.Mirror, decision.Cors, decision.Route, decision.Redirect,
    decision.DirectResponse, decision.Failure, gateways.GatewayServer, ServerTLSSettings, TLSCertificate,
)  # fmt: skip

#: What only tells where something comes from.
TOLD = {"rule", "subset", "external", "cluster_name", "http_reason"}

#: Fields of decisions that are compiled and not carried out yet, with the API's field, which has no support then.
IDLE = {
    ("ServerTLSSettings", "verify_certificate_spki"): ("ServerTLSSettings", "verifyCertificateSpki"),
    ("ServerTLSSettings", "verify_certificate_hash"): ("ServerTLSSettings", "verifyCertificateHash"),
    ("TLSCertificate", "ca_certificates"): ("TLSCertificate", "caCertificates"),
}


@cache
def attributes_read() -> frozenset[str]:
    files = [path for name in SERVING for path in [SOURCES / name, *(SOURCES / name).rglob("*.py")] if path.is_file()]
    assert len(files) > 50
    return frozenset(
        node.attr
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    )


def test_every_field_of_a_decision_is_carried_out():
    fields = {(struct.__name__, name) for struct in CARRIED_OUT for name in struct.__struct_fields__}
    unread = {(struct, name) for struct, name in fields if name not in attributes_read() | TOLD}
    assert unread == {field for field in IDLE if field[1] not in attributes_read()}


def test_what_is_not_carried_out_is_not_called_supported():
    assert set(IDLE.values()) <= UNSUPPORTED_FIELDS.keys()
