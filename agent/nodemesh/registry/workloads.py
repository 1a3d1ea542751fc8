"""Workloads from Pods and WorkloadEntries, and the locality of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from sys import intern

from ..config.capture import read_capture
from ..config.core import PodSpec
from ..config.meta import Object
from ..config.proxyconfig import read_topology
from ..config.workload import WorkloadEntrySpec
from .addresses import canonical_address
from .snapshot import NOWHERE, Locality, Workload

REGION_LABEL = "topology.kubernetes.io/region"
ZONE_LABEL = "topology.kubernetes.io/zone"
SUBZONE_LABEL = "topology.istio.io/subzone"
#: Overrides a workload's locality; in a label value dots stand for the slashes.
LOCALITY_LABEL = "istio-locality"

#: The name of a Job that a CronJob has made: its own, and the scheduled time in minutes since 1970.
CRON_JOB = re.compile(r"(.+)-\d{8,10}")


def locality_of_labels(labels: Mapping[str, str]) -> Locality:
    """A Node's locality from its topology labels."""
    return Locality(
        region=labels.get(REGION_LABEL, ""), zone=labels.get(ZONE_LABEL, ""), subzone=labels.get(SUBZONE_LABEL, "")
    )


def parse_locality(text: str) -> Locality:
    """`region/zone/subzone`, each but the first optional."""
    region, _, rest = text.partition("/")
    zone, _, subzone = rest.partition("/")
    return Locality(region=region, zone=zone, subzone=subzone)


def workload_of_pod(pod: Object[PodSpec], localities: Mapping[str, Locality], listed: tuple[str, ...] = ()) -> Workload:
    """`localities` are those of the Nodes, by name; `listed` are the addresses of a pod that says none itself."""
    status = pod.spec.status
    addresses = listed
    if status.pod_ip or status.pod_ips:
        said = (status.pod_ip, *(entry.ip for entry in status.pod_ips))
        addresses = tuple(dict.fromkeys(canonical_address(ip) for ip in said if ip))
    label = pod.meta.labels.get(LOCALITY_LABEL, "")
    locality = parse_locality(label.replace(".", "/")) if label else localities.get(pod.spec.node_name, NOWHERE)
    return Workload(
        name=pod.meta.name,
        namespace=pod.meta.namespace,
        uid=pod.meta.uid,
        labels=pod.meta.labels,
        annotations=pod.meta.annotations,
        addresses=addresses,
        node=pod.spec.node_name,
        locality=locality,
        service_account=pod.spec.service_account_name,
        owner=owner_of_pod(pod),
        host_network=pod.spec.host_network,
        ready=is_ready(pod),
        leaving=pod.meta.deleting,
        finished=status.phase in ("Succeeded", "Failed"),
        capture=read_capture(pod.meta.annotations)[0],
        topology=read_topology(pod.meta.annotations)[0],
    )


def workload_of_entry(entry: Object[WorkloadEntrySpec]) -> Workload:
    """A WorkloadEntry's own labels give way to those of its metadata, as in Istio."""
    spec = entry.spec
    labels = {**spec.labels, **entry.meta.labels}
    return Workload(
        name=entry.meta.name,
        namespace=entry.meta.namespace,
        uid=entry.meta.uid,
        labels=labels,
        annotations=entry.meta.annotations,
        addresses=(spec.address,) if spec.address else (),
        locality=locality_of_entry(spec, labels),
        service_account=spec.service_account or "",
        owner=labels.get("app", entry.meta.name),
        kind="WorkloadEntry",
    )


def locality_of_entry(spec: WorkloadEntrySpec, labels: Mapping[str, str]) -> Locality:
    if spec.locality:
        return parse_locality(spec.locality)
    return parse_locality(labels.get(LOCALITY_LABEL, "").replace(".", "/"))


def is_ready(pod: Object[PodSpec]) -> bool:
    """The Ready condition; where none is reported, a running pod counts as ready."""
    status = pod.spec.status
    for condition in status.conditions:
        if condition.type == "Ready":
            return condition.status == "True"
    return status.phase in ("", "Running")


def owner_of_pod(pod: Object[PodSpec]) -> str:
    """The name of the Deployment, StatefulSet, DaemonSet, CronJob … that the pod belongs to, as Istio's metrics show it
    (its `GetWorkloadMetaFromPod`): a Job whose name ends in a time is a CronJob's."""
    for owner in pod.spec.owners:
        if owner.controller:
            template_hash = pod.meta.labels.get("pod-template-hash", "")
            if owner.kind == "ReplicaSet" and template_hash:
                return intern(owner.name.removesuffix(f"-{template_hash}"))
            if owner.kind == "Job" and (found := CRON_JOB.fullmatch(owner.name)):
                return found[1]
            return owner.name
    return pod.meta.name
