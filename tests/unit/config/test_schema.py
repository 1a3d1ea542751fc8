from functools import cache
from pathlib import Path

from nodemesh.config.descriptions import DESCRIPTIONS
from nodemesh.config.kinds import ISTIO_KINDS, MESH_CONFIG
from nodemesh.config.schema import crds, documents, walk
from nodemesh.config.support import UNSUPPORTED_FIELDS
from nodemesh.config.yaml import Document, read

CRDS = Path(__file__).parents[3] / "manifests" / "crds"
MEND = "write nodemesh.config.schema.documents() to manifests/crds (`nodemesh crds` prints them)"


@cache
def definitions():
    found = {}
    for document in read(crds(), "crds.yaml"):
        assert isinstance(document, Document) and not document.flaws
        found[document.root.value["spec"]["names"]["kind"]] = document.root.value
    return found


def spec_schema(kind):
    return definitions()[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def test_the_written_files_are_in_step():
    written = {path.name: path.read_text() for path in CRDS.rglob("*.yaml") if path.name != "kustomization.yaml"}
    assert written == documents(), MEND


def test_every_field_says_what_it_means_in_yamls_words():
    fields = {(struct, name) for kind in (*ISTIO_KINDS, MESH_CONFIG) for _, struct, name, _ in walk(kind.spec)}
    assert fields - DESCRIPTIONS.keys() == set()
    assert DESCRIPTIONS.keys() - fields == set()

    def undescribed(schema, path):
        for name, inner in schema.get("properties", {}).items():
            here = f"{path}.{name}"
            yield from () if inner.get("description") else (here,)
            yield from undescribed(inner, here)
        for key in {"items", "additionalProperties"} & schema.keys():
            yield from undescribed(schema[key], path)

    for kind in definitions():
        assert list(undescribed(spec_schema(kind), kind)) == []
        assert "connect_timeout" not in str(spec_schema(kind)), "Python's names are nobody's business"


def test_what_is_said_to_be_unused_is_unsupported():
    unused = {place for place, text in DESCRIPTIONS.items() if text.startswith("Not in use")}
    assert len(unused) > 5 and unused <= UNSUPPORTED_FIELDS.keys()


def test_three_versions_are_served_and_v1_is_stored():
    for kind, definition in definitions().items():
        versions = definition["spec"]["versions"]
        if kind in ("MeshConfig", "Telemetry"):
            names = ["v1alpha1"] if kind == "MeshConfig" else ["v1", "v1alpha1"]
            assert [version["name"] for version in versions] == names
            continue
        assert [version["name"] for version in versions] == ["v1", "v1beta1", "v1alpha3"]
        assert [version["storage"] for version in versions] == [True, False, False]
        assert all(version["served"] for version in versions)


def test_names_and_scopes():
    every = definitions()
    assert set(every) == {
        "VirtualService",
        "DestinationRule",
        "Gateway",
        "ServiceEntry",
        "WorkloadEntry",
        "WorkloadGroup",
        "Sidecar",
        "Telemetry",
        "MeshConfig",
    }
    assert every["ServiceEntry"]["metadata"]["name"] == "serviceentries.networking.istio.io"
    assert every["VirtualService"]["spec"]["names"]["shortNames"] == ["vs"]
    assert every["MeshConfig"]["spec"]["scope"] == "Cluster"
    assert every["Sidecar"]["spec"]["scope"] == "Namespaced"


def test_columns_of_kubectl_get():
    columns = definitions()["ServiceEntry"]["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [column["name"] for column in columns] == ["Hosts", "Location", "Resolution", "Age"]


def schemas(schema):
    """A schema and all below it."""
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from schemas(inner)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from schemas(schema[key])


def test_schemas_are_structural():
    """Kubernetes: every part has a type, and nothing below oneOf, allOf or not sets one."""
    for kind in definitions():
        for schema in schemas(spec_schema(kind)):
            assert "type" in schema
            for key in ("oneOf", "allOf"):
                assert "'type'" not in str(schema.get(key, ""))


def test_rules_of_istio():
    entry = spec_schema("ServiceEntry")
    assert entry["required"] == ["hosts"]
    assert len(entry["x-kubernetes-validations"]) == 4
    route = spec_schema("VirtualService")["properties"]["http"]["items"]["properties"]
    assert route["timeout"]["x-kubernetes-validations"][0]["rule"] == "duration(self) >= duration('1ms')"
    assert {"required": ["exact"]} in route["match"]["items"]["properties"]["uri"]["oneOf"]
    assert route["mirror_percent"] == route["mirrorPercent"]
    assert route["mirrorPercent"]["nullable"] is True
    pool = spec_schema("DestinationRule")["properties"]["trafficPolicy"]["properties"]["connectionPool"]
    assert (
        "x-kubernetes-validations" not in pool["properties"]["tcp"]["properties"]["idleTimeout"]
    )  # 0s switches it off


def test_a_template_needs_no_address():
    template = spec_schema("WorkloadGroup")["properties"]["template"]
    messages = [rule["message"] for rule in template["x-kubernetes-validations"]]
    assert messages == ["UDS may not include ports"]
