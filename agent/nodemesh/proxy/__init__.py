"""The data path: what comes from pods goes where the tables say, byte by byte.

A connection's way through the files: `reactor` (or `sim`) makes a `transport` of a socket and hands it to the `pod`
whose listener it came from; `sniff` tells what an undeclared port carries, with an `early` connection for servers that
speak first; `tcp` joins plain connections by a `relay`, through `pipes` where much comes at once, and in larger pieces
where they are `streams`. A gateway's TLS ports are `gateway`'s: the ClientHello's name chooses who ends it. `tls` is a
transport over a transport, for both directions, with the contexts that `certificates` makes of files and Secrets.
`downstream` reads HTTP/1.1 with the codec in `http1` and makes an `exchange` of each request (at a gateway, `edge`
first says whom it comes from). The exchange has routing decide, applies `fault` and `cors`, changes `headers`, and
makes a `call` to the chosen cluster: the call picks an endpoint of its `target`, takes an `upstream` connection from
the endpoint's `pool`, and tries again as `retry` says. `mirror` sends copies; `tunnel` keeps the accounts of a request
that became a websocket; `local_reply` has the answers in an upstream's stead.

DNS queries of pods come by `datagrams`: their `nameserver` answers the names that the pod's view has and passes the
others on, with the codec in `dns_message`.

`exchange` and `call` know nothing of the codec: they talk in `head`s and bytes. Their states are tables at the top of
their files. `proxy` is what all connections of a worker share, `clock` its time and timers; `worker` runs it all in a
process, as `messages` from control say, on the `platform` that the node gives it. Only `reactor`, its `sockets`,
`dial`, `streams` and `datagrams`, `worker` and `platform` do IO."""
