"""HTTP, whatever carries it.

A `session` is what all requests of a client's connection share; an `exchange` is one request's life. It has routing
decide, applies `fault` and `cors`, and has a `placement` drawn; `compose` makes the `outgoing` request of the two, a
value, which a `call` takes to the chosen cluster. It answers through its `responder` (at a gateway, `edge` first says
where the request comes from). The call takes a `stream` of the `target`, on a connection of the endpoint's `pool` or
after a wait in the `queue`, and tries again as `retry` says, within its `time_limits`. `mirror` sends copies, `tunnel`
keeps the accounts of a request that became a websocket, `local_reply` has the answers in an upstream's place, `records`
what telemetry keeps, `tracing` where the request is in a trace. The codecs play the two roles, responder and stream."""
