import msgspec
import pytest

from nodemesh.config.meshconfig import EnrolmentMode, FailurePolicy, MeshConfigSpec
from nodemesh.node.pods import Custom, choose, client_of
from nodemesh.registry.snapshot import Namespace, Snapshot, Workload

ALL, LABELLED = Custom(), Custom(mode=EnrolmentMode.LABELLED, apart=frozenset({"kube-system", "nodemesh"}))


def snapshot(namespace_labels: dict[str, str] | None = None, **pod: object) -> Snapshot:
    fields: dict[str, object] = {"name": "a", "namespace": "shop", "uid": "u-1", "node": "here", **pod}
    workload = Workload(**fields)  # type: ignore[arg-type]
    return Snapshot(
        workloads={workload.key: workload},
        namespaces={"shop": Namespace(name="shop", labels=namespace_labels or {})},
    )


def why(namespace_labels: dict[str, str] | None = None, **pod: object) -> str:
    return choose(snapshot(namespace_labels, **pod), "here", ALL)["shop/a"].why_not


def joins(custom: Custom, mesh: EnrolmentMode | None = None, space: str = "", pod: str = "", name: str = "shop") -> str:
    """Why a pod stays out whose own label and whose namespace's are these."""
    labels = [{"nodemesh.io/mesh": word} if word else {} for word in (space, pod)]
    workload = Workload(name="a", namespace=name, uid="u-1", node="here", labels=labels[1])
    found = Snapshot(
        workloads={workload.key: workload},
        namespaces={name: Namespace(name=name, labels=labels[0])},
        mesh=MeshConfigSpec(enrolment=mesh),
    )
    return choose(found, "here", custom)[f"{name}/a"].why_not


def test_an_ordinary_pod_is_wanted():
    assert why() == ""


def test_pods_of_other_nodes_are_not_ours_to_list():
    assert choose(snapshot(node="there"), "here", ALL) == {}


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        ({"host_network": True}, "hostNetwork"),
        ({"finished": True}, "finished"),
        ({"labels": {"nodemesh.io/mesh": "disabled"}}, "the pod opts out"),
        ({"annotations": {"nodemesh.io/mesh": "disabled"}}, "the pod opts out"),
        ({"uid": ""}, "no uid"),
        ({"annotations": {"sidecar.istio.io/status": "{}"}}, "Istio's sidecar"),
        ({"annotations": {"ambient.istio.io/redirection": "enabled"}}, "Istio's ambient mode"),
    ],
)
def test_the_exact_reason_is_told(pod, words):
    assert words in why(**pod)


def test_what_istio_would_do_to_a_pod_is_no_word_to_us():
    assert why(labels={"sidecar.istio.io/inject": "false", "istio.io/dataplane-mode": "none"}) == ""
    assert why(annotations={"ambient.istio.io/redirection": "disabled"}) == ""


def test_a_namespace_opts_all_its_pods_out_and_a_pod_itself_back_in():
    off = {"nodemesh.io/mesh": "disabled"}
    assert "namespace shop opts out" in why(off)
    assert why(off, labels={"nodemesh.io/mesh": "enabled"}) == ""
    assert "hostNetwork" in why(off, labels={"nodemesh.io/mesh": "enabled"}, host_network=True)


@pytest.mark.parametrize(
    ("whole", "own", "asks"),
    [
        ({}, {}, False),
        ({}, {"annotations": {"nodemesh.io/sockmap": "enabled"}}, True),
        ({}, {"labels": {"nodemesh.io/sockmap": "enabled"}}, True),
        ({"nodemesh.io/sockmap": "enabled"}, {}, True),
        ({"nodemesh.io/sockmap": "enabled"}, {"annotations": {"nodemesh.io/sockmap": "disabled"}}, False),
        ({}, {"annotations": {"nodemesh.io/sockmap": "yes"}}, False),
    ],
)
def test_sockmap_is_for_pods_that_ask_or_whose_namespace_does(whole, own, asks):
    assert choose(snapshot(whole, **own), "here", ALL)["shop/a"].sockmap is asks


def test_in_a_cluster_pods_join_by_their_label_or_their_namespaces():
    assert "neither the pod nor its namespace asks for the mesh" in joins(LABELLED)
    assert joins(LABELLED, space="enabled") == joins(LABELLED, pod="enabled") == ""
    assert "the pod opts out" in joins(LABELLED, space="enabled", pod="disabled")
    assert "asks for the mesh" in joins(LABELLED, space="yes"), "only what is known counts"


def test_meshconfig_says_otherwise_either_way():
    assert joins(LABELLED, EnrolmentMode.ALL) == ""
    assert "asks for the mesh" in joins(ALL, EnrolmentMode.LABELLED)


@pytest.mark.parametrize("name", ["kube-system", "nodemesh"])
def test_what_a_cluster_cannot_run_without_joins_only_when_it_asks(name):
    assert "left alone" in joins(LABELLED, EnrolmentMode.ALL, name=name)
    assert joins(LABELLED, EnrolmentMode.ALL, name=name, space="enabled") == ""
    assert joins(LABELLED, EnrolmentMode.ALL, name=name, pod="enabled") == ""


def test_what_is_istios_by_label_stays_istios_before_istio_has_come():
    ambient = {"istio.io/dataplane-mode": "ambient"}
    assert "the namespace shop is Istio's" in why(ambient)
    assert "the pod is Istio's" in why(labels=ambient)
    assert "the pod is Istio's" in why(labels={**ambient, "nodemesh.io/mesh": "enabled"}), "two meshes are one too many"
    assert why(ambient, labels={"istio.io/dataplane-mode": "none"}) == ""


def test_a_static_pods_cgroup_is_found_by_its_manifests_hash():
    pods = choose(snapshot(annotations={"kubernetes.io/config.hash": "abc"}), "here", ALL)
    assert pods["shop/a"].uid == "abc"


def test_the_client_is_the_pod():
    client = client_of(snapshot(labels={"app": "a"}, owner="a-deployment").workloads["shop/a"])
    assert (client.namespace, client.name, client.labels, client.owner) == ("shop", "a", {"app": "a"}, "a-deployment")


@pytest.mark.parametrize(
    ("mesh", "namespace", "pod", "wanted"),
    [
        (False, "", "", False),
        (True, "", "", True),
        (True, "disabled", "", False),
        (False, "enabled", "", True),
        (False, "disabled", "enabled", True),
        (True, "enabled", "disabled", False),
        (True, "", "perhaps", True),
    ],
)
@pytest.mark.parametrize("kind", ["labels", "annotations"])
def test_whose_dns_is_taken_over(mesh, namespace, pod, wanted, kind):
    found = snapshot({"nodemesh.io/dns": namespace}, **{kind: {"nodemesh.io/dns": pod}})
    found = msgspec.structs.replace(found, mesh=MeshConfigSpec(dns_capture=mesh))
    assert choose(found, "here", ALL)["shop/a"].dns == wanted


@pytest.mark.parametrize(
    ("namespace", "mesh", "closed"),
    [("", "open", False), ("closed", "open", True), ("", "closed", True), ("closd", "open", False)],
)
def test_who_is_refused_while_nobody_serves(namespace, mesh, closed):
    labels = {"nodemesh.io/failure-policy": namespace} if namespace else {}
    found = msgspec.structs.replace(snapshot(labels), mesh=MeshConfigSpec(failure_policy=FailurePolicy(mesh)))
    assert choose(found, "here", ALL)["shop/a"].closed is closed
