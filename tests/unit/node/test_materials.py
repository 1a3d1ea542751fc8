import os

import msgspec
import pytest

from nodemesh.config.core import SecretSpec
from nodemesh.config.load import load_text
from nodemesh.node.materials import MaterialSource
from nodemesh.proxy.certificates import Materials
from nodemesh.registry.store import Store

RULES = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: default}
spec:
  host: shop.example
  trafficPolicy:
    tls: {mode: SIMPLE, caCertificates: FOLDER/ca.pem}
    portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE, credentialName: ours}}]
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
stringData: {cacert: authority}
---
apiVersion: v1
kind: Secret
metadata: {name: others, namespace: default}
stringData: {key: private}
"""


@pytest.fixture
def told():
    return []


@pytest.fixture
def source(told, tmp_path):
    def hear(message, fds):
        told.append(msgspec.msgpack.decode(os.pread(fds[0], 1 << 20, 0), type=Materials))

    for name in ("ca", "crt", "key"):
        (tmp_path / f"{name}.pem").write_text(name)
    source = MaterialSource(hear)
    store = Store()
    source.want(store.apply("test", load_text(RULES.replace("FOLDER", str(tmp_path)), "x.yaml").objects), store.secrets)
    return source


def test_what_rules_name_is_read_and_nothing_else(source, told, tmp_path):
    (materials,) = told
    assert set(materials.files) == {str(tmp_path / f"{name}.pem") for name in ("ca", "crt", "key")}
    assert materials.secrets == {"default/ours": {"cacert": b"authority"}}


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
