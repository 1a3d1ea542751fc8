"""A node's agent: the composition root, in three kinds of processes.

    nodemesh run     supervisor.py   small: holds the listening sockets, starts the others and starts them again
      |-- control    control.py      sources -> snapshot -> tables -> workers and kernel; enrolment, admin API, metrics
      `-- worker     worker.py       the proxy's worker with this node's platform, access log and signals

In reading order:

- `options.py`, `preflight.py`, `rundir.py`: what was asked for, what the machine must have, where the sockets are.
- `supervisor.py`, with `child.py` and `backoff.py` (its processes), `store.py` (the descriptors that it keeps for
  others) and `upgrade.py` (all of it handed to a successor).
- `channel.py`: messages with descriptors, as all processes speak to each other.
- `control.py`, with `fleet.py` (the workers as control sees them), `publish.py` (tables on their way), `listeners.py`
  (where workers accept for which pod), `exposed.py` (`--expose`, `--gateway-listen`), `materials.py` (certificates),
  `resolve.py` (DNS), `counters.py` (limits that workers share), `access_logs.py`, `exporter.py` (spans to collectors)
  and `status.py`, `metrics.py` (what the admin API shows).
- `interception.py` (pods' connections are taken over), with `pods.py` (who is to be in the mesh), `enrol.py` (has it
  done), `kernel.py` (does it), `views.py` (what each pod sees of the kernel's maps), `kernel_traffic.py` (what went
  past the proxy), `kernel_endpoints.py` (to which endpoint) and `sockmap.py` (whether it is offered).
- `reconciler.py` (one agent of all writes into the cluster), with `election.py` (which one), `subresource.py`,
  `statuses.py`, `routestatuses.py`, `managed_gateways.py` and `gateway_rights.py` (what it writes).
- `worker.py`, `platform.py`: the worker process.

What dies and what lives on. A worker: its own connections die; the listeners are the supervisor's, so connects wait for
the next worker. Control: nothing; workers keep the last good tables, and the next control finds listeners, counters and
hooks where they are. The supervisor: its processes with it; the closed listeners leave the kernel's map by themselves
and the hooks let connections pass. Nothing is learnt from events alone: every start compares what is wanted with what
is there."""
