"""What the cluster says: objects from several sources become one frozen, versioned Snapshot.

In reading order: `snapshot.py` has the records; `sources/` hand in objects; `store.py` is the one place of change and
gives the next Snapshot with its causes; `assemble.py` keeps what objects make and, on a change, has only the touched
parts built anew by `services.py` (Kubernetes Services), `entries.py` (ServiceEntries), `workloads.py` (Pods and
WorkloadEntries, localities) and `protocols.py` (protocol selection); `allocate.py` gives addresses to entries that have
none. Parts that did not change are the previous
snapshot's own objects, by which the packages behind recognise them."""
