"""nodemesh: a sidecarless service mesh for Linux nodes.

eBPF programs at the pods' cgroups take outgoing connections over at connect(); what needs no L7 decision is balanced
in the kernel, what does goes through a shared per-node proxy that applies Istio's traffic API. The packages, in the
order in which data flows through them: `config` -> `registry` -> `routing` -> `balance`, `proxy` and `datapath`;
`node` puts them together, `admin` and `cli` are the ways in.

Words of this house, beside Istio's, Envoy's and the RFCs':

- snapshot: what the cluster says, with a version. Tables: what that means. View: what one client workload sees of them.
- frontend: a service's address and port as a client dials it, with its rules; mode: whether it is served by the kernel
  or by the proxy.
- decision: what is to become of a request or connection, and why. Placement: where a route sends it. Outgoing: how it
  leaves.
- target: a cluster at work in a worker. Group: its endpoints as they are balanced; host: one of them. Pool: the
  connections to one host; line: the requests that wait there.
- pod: what a listener serves, with its view, limits and open connections. Peer: the workload as which an accepted
  connection counts. Outlet: where upstream connections leave from; approach: how an endpoint is reached.
- session: what all requests of a client's connection share. Exchange: one request's life; call: its way to one cluster,
  over all tries; responder and stream: what a codec is to these two.
- lane: one pod's sockets in the loop; turn: the time that a lane has before the next one. Flow: one way between two
  joined sockets.
- gate: what is buffered on one pod's account, and whether the pod is read; account: what several share.
- doomed: a connection that cannot be made; its user hears so later, as with any failure.
- sniffing: telling a protocol by first bytes. Early: an upstream connection made before its client has spoken.
- reason: why something was refused or broken, from the one list of `reasons`."""

__version__ = "0.2.0"
