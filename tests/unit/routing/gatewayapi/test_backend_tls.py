"""BackendTLSPolicies: which one counts for a Service, and what is said of it."""

import pytest
from tests.routes import BASE, gateway, made, route, snapshot_of
from tests.unit.routing.gatewayapi.attached import HTTP, TO_CART, Facts, said

from nodemesh.routing.gatewayapi.attach import attach
from nodemesh.routing.gatewayapi.backend_tls import tls_for


def tls_policy(
    name, target="{group: '', kind: Service, name: cart}", ca="{group: '', kind: ConfigMap, name: ca}", **more
):
    spec = f"targetRefs: [{target}]\nvalidation: {{hostname: {name}.example, caCertificateRefs: [{ca}]}}"
    return made("BackendTLSPolicy", name, spec, **more)


def with_policies(*policies, facts=None):
    text = BASE + gateway(HTTP) + route("r", TO_CART) + "".join(policies)
    return attach(snapshot_of(text), facts or Facts())


@pytest.mark.parametrize(
    ("ca", "accepted", "resolved"),
    [
        ("ca", (True, "Accepted"), (True, "ResolvedRefs")),
        ("bad", (False, "NoValidCACertificate"), (False, "InvalidCACertificateRef")),
    ],
)
def test_a_policy_needs_an_authority(ca, accepted, resolved):
    policy = tls_policy("p", ca=f"{{group: '', kind: ConfigMap, name: {ca}}}")
    attached = with_policies(policy, facts=Facts("configmap://shop/bad"))
    (verdict,) = attached.policies["shop/p"]
    assert verdict.name == "shop/edge"
    assert [said(verdict.conditions, kind) for kind in ("Accepted", "ResolvedRefs")] == [accepted, resolved]
    (settings,) = attached.backend_tls["cart.shop.svc.cluster.local"]  # trusts nobody rather than speak in the clear
    assert (settings.tls.sni, settings.tls.subject_alt_names) == ("p.example", ("p.example",))
    assert settings.tls.credential == f"configmap://shop/{ca}"


def test_an_authority_of_another_kind_is_none():
    (verdict,) = with_policies(tls_policy("p", ca="{group: '', kind: Service, name: ca}")).policies["shop/p"]
    assert said(verdict.conditions, "ResolvedRefs") == (False, "InvalidKind")
    assert said(verdict.conditions) == (False, "NoValidCACertificate")


def test_the_older_policy_of_a_service_counts():
    attached = with_policies(tls_policy("young", created=2), tls_policy("old", created=1))
    assert [said(attached.policies[f"shop/{name}"][0].conditions) for name in ("old", "young")] == [
        (True, "Accepted"),
        (False, "Conflicted"),
    ]
    assert [one.owner.name for one in attached.backend_tls["cart.shop.svc.cluster.local"]] == ["old"]


def test_a_port_s_own_policy_comes_before_the_service_s():
    port = tls_policy("port", "{group: '', kind: Service, name: cart, sectionName: http-alt}", created=2)
    found = with_policies(tls_policy("whole", created=1), port).backend_tls["cart.shop.svc.cluster.local"]
    assert [tls_for(found, name).sni for name in ("http", "http-alt")] == ["whole.example", "port.example"]


def test_a_policy_s_ancestors_are_the_gateways_that_lead_there():
    stock = tls_policy("p", "{group: '', kind: Service, name: stock}")
    absent = tls_policy("q", "{group: '', kind: Service, name: cart, sectionName: none}")
    attached = with_policies(stock, absent)
    assert not attached.policies
    assert list(attached.backend_tls) == ["stock.shop.svc.cluster.local"]
