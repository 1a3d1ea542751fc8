"""The data path: what comes from pods goes where the tables say, byte by byte.

A connection's way: `io` (or `sim`) makes a `transport` of a socket and hands it to the `pod` whose listener it came
from; `accept` tells what it carries. `tcp` joins plain connections by a relay. `http1` reads and writes HTTP/1.1 and
makes an exchange of each request, `http2` is HTTP/2's codec, `grpc` what gRPC is to a proxy; `http` is the request's
life from there on: routing's decision, faults, header changes, the call to an endpoint of a `target`, retries,
mirrors, the answer. `tls` is a transport over a transport. `dns` answers pods' queries. Each folder's `__init__`
tells its part.

`http` knows nothing of sockets: its states are tables at the top of their files. `proxy` is what all connections of a
worker share, `clock` its time and timers; `worker` runs it all in a process, as `messages` from control say."""
