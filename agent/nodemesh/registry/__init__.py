"""What the cluster says: objects from several sources become one frozen, versioned Snapshot.

In reading order: `snapshot.py` has the records; `sources/` hand in objects; `store.py` is the one place of change and
gives the next Snapshot with its causes; `assemble.py` keeps what objects make and, on a change, has only the touched
parts built again by `services.py` (Kubernetes Services), `entries.py` (ServiceEntries), `workloads.py` (Pods and
WorkloadEntries, localities) and `protocols.py` (protocol selection), against the cluster and its networks (`site.py`);
`podindex.py` finds pods by labels, `slices.py` reads EndpointSlices, `merge.py` makes one service of several entries,
`allocate.py` gives addresses to those that have none, and `multicluster.py` makes one mesh of several clusters. Parts
that did not change are the previous snapshot's own objects, by which the packages behind recognise them. `carry.py`
takes a snapshot to another process, `overlay.py` lays one over another."""
