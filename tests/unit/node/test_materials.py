import os

import pytest

from nodemesh.config.core import SecretSpec
from nodemesh.config.load import load_text
from nodemesh.lab.certificates import Authority
from nodemesh.node.credentials import Credentials
from nodemesh.node.materials import MaterialSource, Secrets, only
from nodemesh.proxy.tls.materials import unpack
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client

RULES = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: default}
spec:
  host: shop.example
  trafficPolicy:
    tls: {mode: SIMPLE, caCertificates: FOLDER/ca.pem}
    portLevelSettings:
    - {port: {number: 443}, tls: {mode: SIMPLE, credentialName: ours}}
    - {port: {number: 444}, tls: {mode: SIMPLE, credentialName: configmap://default/ours}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gateway, namespace: default}
spec:
  selector: {app: gateway}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: ['*']
    tls: {mode: SIMPLE, serverCertificate: FOLDER/crt.pem, privateKey: FOLDER/key.pem}
---
apiVersion: v1
kind: Secret
metadata: {name: ours, namespace: default}
stringData: {cacert: authority, password: private}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ours, namespace: default}
data: {ca.crt: public, motd: hello}
---
apiVersion: v1
kind: Secret
metadata: {name: others, namespace: default}
stringData: {key: private}
"""


CLIENTS = [
    Client(namespace="default"),
    Client(namespace="default", gateway=True, labels={"app": "gateway"}),
]


@pytest.fixture
def told():
    return []


@pytest.fixture
def source(told, tmp_path):
    def hear(message, fds):
        told.append(unpack(os.pread(fds[0], 1 << 20, 0)))

    for name in ("ca", "crt", "key"):
        (tmp_path / f"{name}.pem").write_text(name)
    source = MaterialSource(hear)
    store = Store()
    snapshot = store.apply("test", load_text(RULES.replace("FOLDER", str(tmp_path)), "x.yaml").objects)
    source.want(Credentials().uses(snapshot, CLIENTS), only(store.secrets))
    return source


def test_what_rules_name_is_read_and_nothing_else(source, told, tmp_path):
    (materials,) = told
    assert set(materials.files) == {str(tmp_path / f"{name}.pem") for name in ("ca", "crt", "key")}
    assert materials.secrets == {
        "default/ours": {"cacert": b"authority"},
        "configmap://default/ours": {"ca.crt": b"public"},
    }


def test_changes_are_told_once_and_losses_not_at_all(source, told, tmp_path):
    source.scan()
    assert len(told) == 1
    (tmp_path / "new").write_text("other")
    os.replace(tmp_path / "new", tmp_path / "crt.pem")
    source.scan()
    source.scan()
    assert len(told) == 2 and told[1].files[str(tmp_path / "crt.pem")] == b"other"
    (tmp_path / "crt.pem").unlink()
    source.scan()
    assert len(told) == 2


def test_no_secret_can_be_read_in_a_log(source, told):
    assert "authority" not in repr(told[0])
    assert "private" not in repr(SecretSpec(data={"key": b"private"}))


SECURE = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {app: gateway}
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: web}}
"""


class Cluster:
    """Secrets as a cluster has them: what is not there is told once the server has said so."""

    def __init__(self):
        self.specs, self.known = {}, False

    def secrets(self):
        return Secrets(dict(self.specs), lambda key: self.why(key))

    def why(self, key):
        return f"there is no Secret {key}" if self.known and key not in self.specs else ""


@pytest.fixture
def cluster():
    return Cluster()


def secured(told, cluster, rules: str) -> MaterialSource:
    source = MaterialSource(lambda message, fds: told.append(os.pread(fds[0], 1 << 20, 0)))
    snapshot = Store().apply("test", load_text(rules, "x.yaml").objects)
    source.want(Credentials().uses(snapshot, CLIENTS), cluster.secrets())
    return source


@pytest.fixture
def secure(told, cluster):
    return secured(told, cluster, SECURE)


def whys(source):
    return [fault.why for fault in source.faults]


def test_a_missing_secret_is_told_once_with_its_place(secure, cluster, caplog):
    assert whys(secure) == [], "the server has not said anything yet"
    cluster.known = True
    for _ in range(5):
        secure.renew(cluster.secrets())
    assert whys(secure) == ["there is no Secret default/web"]
    (record,) = caplog.records
    line = record.getMessage()
    assert "x.yaml:8:" in line and "spec.servers[0].tls.credentialName" in line and "no Secret default/web" in line


def test_nothing_is_judged_before_it_is_known_whether_the_authority_stands_beside(told, cluster, caplog):
    mutual = secured(told, cluster, SECURE.replace("SIMPLE", "MUTUAL"))
    pair = Authority().issue("web.example")
    cluster.specs["default/web"] = SecretSpec(data={"tls.crt": pair.certificate, "tls.key": pair.key})
    for _ in range(2):
        mutual.renew(cluster.secrets())
    assert whys(mutual) == [] and not caplog.records
    cluster.known = True
    for _ in range(2):
        mutual.renew(cluster.secrets())
    assert whys(mutual) == ["MUTUAL needs the clients' authority"] and len(caplog.records) == 1


def test_what_is_deleted_or_broken_leaves_what_was_good(secure, cluster, told):
    cluster.known = True
    pair = Authority().issue("web.example")
    cluster.specs["default/web"] = SecretSpec(data={"tls.crt": pair.certificate, "tls.key": pair.key})
    secure.renew(cluster.secrets())
    assert whys(secure) == [] and pair.key in told[-1]
    count = len(told)
    del cluster.specs["default/web"]
    secure.renew(cluster.secrets())
    assert whys(secure) == ["there is no Secret default/web; what was read before serves on"] and len(told) == count
    other = Authority().issue("web.example")
    cluster.specs["default/web"] = SecretSpec(data={"tls.crt": other.certificate, "tls.key": pair.key})
    secure.renew(cluster.secrets())
    assert whys(secure) == ["key values mismatch"]
    cluster.specs["default/web"] = SecretSpec(data={"cert": other.certificate, "key": other.key})
    secure.renew(cluster.secrets())
    assert whys(secure) == []


def test_what_no_rule_names_any_more_is_forgotten(secure, cluster, told):
    cluster.specs["default/web"] = SecretSpec(data={"tls.key": b"private"})
    secure.renew(cluster.secrets())
    secure.want((), cluster.secrets())
    assert b"private" not in told[-1] and not secure.materials.secrets
