"""A node on this machine: pods as network namespaces and cgroups, so that what runs against it runs on a real node.

A `Lab` is what the agent finds on a Kubernetes node, without Kubernetes. In reading order:

    owner.py       whose a lab is: names with the owner's pid and start time; `sweep` removes what dead owners left
    cgroup.py      the cgroup v2 directories: made, killed, removed
    place.py       where processes start: cgroup first, then namespaces, then exec
    addresses.py   the pod network and the service network, dual stack as an option
    network.py     links: the node's bridge, the pods' veth pairs, the services' addresses (netlink)
    pause.py       the process that holds a pod's namespaces
    pod.py         a pod: what Kubernetes says about it, and its place
    service.py     a service: its virtual address and the pods behind it
    forwarder.py   kube-proxy's stand-in, a process of its own: virtual addresses spread over endpoints, in user space
    manifests.py   what kubectl would print about the node, the namespaces, the pods and the services
    lab.py         the whole: made, changed, removed
    agent.py       an agent under test: `nodemesh run` as a process of the lab
    client.py      sends requests from inside a pod and says what came back
    bookinfo.py    the Bookinfo services of the demo
    certificates.py  an authority, and what it issues

Every process of a lab lives below one cgroup, `<cgroup2 mount>/<lab>/`: `kubepods/…` holds the pods in Kubernetes' own
layout, `node` the node's own processes, `host` those that belong to the lab but stay on this machine's network (an
agent under test). The namespaces have no names; they end with their processes. To remove a lab is to kill one cgroup.

The host's network is left alone: the node is a namespace too, so any number of labs share the same addresses unawares.
"""

from .addresses import IpFamily
from .client import HttpAnswer
from .lab import Lab
from .owner import LabError, sweep
from .place import ProcessPlace
from .pod import LabPod
from .service import LabPort, LabService

__all__ = ["HttpAnswer", "IpFamily", "Lab", "LabError", "LabPod", "LabPort", "LabService", "ProcessPlace", "sweep"]
