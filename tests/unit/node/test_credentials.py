import pytest

from nodemesh.config.load import load_text
from nodemesh.node.credentials import NOT_SELECTED, Credentials
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: shop}}
spec:
  selector: {{istio: {selected}}}
  servers:
  - port: {{number: 443, name: https, protocol: HTTPS}}
    hosts: ['*']
    tls: {tls}
---
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: outside, namespace: shop}}
spec:
  host: outside.example
  {more}
  trafficPolicy:
    portLevelSettings: [{{port: {{number: 443}}, tls: {{mode: MUTUAL, credentialName: {name}}}}}]
---
"""
INGRESS = Client(namespace="edge", gateway=True, labels={"istio": "ingress"})
POD = Client(namespace="shop", labels={"app": "cart"})
OTHER = Client(namespace="other", labels={"app": "cart"})


def uses(text: str, *clients: Client):
    return Credentials().uses(Store().apply("test", load_text(text, "x.yaml").objects), clients)


def gateway(tls: str, *clients: Client, selected: str = "ingress"):
    return uses(GATEWAY.format(name="web", selected=selected, tls=tls), *clients)


@pytest.mark.parametrize(
    "tls, secrets, beside",
    [
        ("{mode: SIMPLE, credentialName: web}", ("edge/web",), ()),
        ("{mode: MUTUAL, credentialName: web}", ("edge/web",), ("edge/web-cacert",)),
        ("{mode: OPTIONAL_MUTUAL, credentialNames: [rsa, ec]}", ("edge/rsa", "edge/ec"), ("edge/rsa-cacert",)),
        ("{mode: MUTUAL, credentialName: web, caCertCredentialName: ca}", ("edge/web", "edge/ca"), ()),
        ("{mode: SIMPLE, serverCertificate: /c, privateKey: /k}", (), ()),
        ("{mode: SIMPLE, serverCertificate: /c, privateKey: /k, caCertCredentialName: ca}", (), ()),
        ("{mode: MUTUAL, serverCertificate: /c, privateKey: /k, caCertCredentialName: ca}", ("edge/ca",), ()),
    ],
)
def test_a_gateways_secrets_stand_in_its_own_namespace(tls, secrets, beside):
    (use,) = gateway(tls, INGRESS, POD)
    assert (use.secrets, use.beside, use.withheld) == (secrets, beside, "")
    assert set(use.paths) == ({"/c", "/k"} if "/c" in tls else set())


def test_the_place_is_told():
    (use,) = gateway("{mode: SIMPLE, credentialName: web}", INGRESS)
    assert str(use.holder) == "Gateway shop/web" and use.path == "spec.servers[0].tls.credentialName"
    assert (use.location.line, use.location.column) == (10, 25)
    (use,) = gateway("{mode: MUTUAL, serverCertificate: /c, privateKey: /k, caCertCredentialName: ca}", INGRESS)
    assert use.path == "spec.servers[0].tls.caCertCredentialName"


def test_what_does_not_apply_is_not_read():
    assert gateway("{mode: SIMPLE, credentialName: web}", INGRESS, selected="egress") == ()
    assert gateway("{mode: SIMPLE, credentialName: web}", POD) == ()
    assert gateway("{mode: PASSTHROUGH}", INGRESS) == ()


def test_another_namespaces_secret_is_withheld():
    (use,) = gateway("{mode: SIMPLE, credentialName: kubernetes://shop/web}", INGRESS)
    assert use.secrets == ("shop/web",) and "namespace of the workload, edge" in use.withheld


def test_a_config_map_is_asked_for_wherever_it_is_and_whoever_uses_it():
    (use,) = gateway("{mode: MUTUAL, credentialName: web, caCertCredentialName: configmap://shop/ca}", INGRESS)
    assert (use.secrets, use.beside, use.withheld) == (("edge/web", "configmap://shop/ca"), (), "")
    rule = RULE.format(more="exportTo: ['*']", name="configmap://shop/ca").replace("MUTUAL", "SIMPLE")
    everybody = uses(rule, POD, OTHER, INGRESS)
    assert [use.secrets for use in everybody] == [("configmap://shop/ca",)] * 3
    assert not any(use.beside or use.withheld for use in everybody)


def test_a_pods_credential_takes_a_selector():
    selecting = "workloadSelector: {matchLabels: {app: cart}}"
    (use,) = uses(RULE.format(more=selecting, name="client"), POD, OTHER)
    assert (use.secrets, use.beside, use.withheld) == (("shop/client",), ("shop/client-cacert",), "")
    assert use.path == "spec.trafficPolicy.portLevelSettings[0].tls.credentialName"
    assert uses(RULE.format(more=selecting.replace("cart", "desk"), name="client"), POD) == ()
    everybody = uses(RULE.format(more="exportTo: ['*']", name="client"), POD, OTHER, INGRESS)
    assert {use.secrets[0]: use.withheld for use in everybody} == {
        "shop/client": NOT_SELECTED, "other/client": NOT_SELECTED, "edge/client": "",
    }  # fmt: skip
    (own,) = uses(RULE.format(more="exportTo: ['.']", name="client"), POD, OTHER, INGRESS)
    assert own.secrets == ("shop/client",)


def test_only_rules_and_clients_that_changed_are_looked_at_again():
    store, credentials = Store(), Credentials()
    text = GATEWAY.format(name="web", selected="ingress", tls="{mode: SIMPLE, credentialName: web}")
    first = credentials.uses(store.apply("test", load_text(text, "x.yaml").objects), [INGRESS])
    other = load_text("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}", "y.yaml")
    snapshot = store.apply("test", other.objects)
    assert credentials.uses(snapshot, [INGRESS]) is first
    assert credentials.uses(snapshot, [POD]) == ()
    assert (
        len(credentials.uses(store.apply("test", load_text(text.replace("web", "shop"), "z").objects), [INGRESS])) == 2
    )
