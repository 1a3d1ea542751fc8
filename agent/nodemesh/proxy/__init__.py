"""The data path: what comes from pods goes where the tables say, byte by byte.

A connection's way: `io` (or `sim`) makes a `transport` of a socket and hands it to the `accept.reception` of the `pod`
whose listener it came from, as its `peer`'s; that tells what it carries. `tcp` joins plain connections by a relay.
`http1` reads and writes HTTP/1.1 and makes an exchange of each request, `http2` is HTTP/2's codec, `grpc` what gRPC is
to a proxy; `http` is the request's life from there on: routing's decision, faults, how it leaves, the call to an
endpoint of a `target`, retries, mirrors, the answer. `connector` reaches endpoints. `layered` is a transport over a
transport, as those of `tls` and of tunnels are. `dns` answers pods' queries, `udp` has the
sessions of gateways' clients that send datagrams. Each folder's `__init__` tells its part.

`http` knows nothing of sockets, and no codec: its states are tables, `codecs` makes the connections that it asks for.
`proxy` has the pods and the tables that they are served by, `shared` is what all connections of a worker share, `clock`
its time and timers, `network` what the outside is to all of this; `worker` runs it in a process, as `messages` from
control say. Arrows lead one way: connections know their pod, the pod what is shared, that the targets; tests hold
it."""
