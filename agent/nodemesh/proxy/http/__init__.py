"""HTTP, whatever carries it.

A `session` is what all requests of a client's connection share; an `exchange` is one request's life. It has routing
decide, applies `fault` and `cors`, changes `headers`, makes a `call` to the chosen cluster, and answers through its
`responder` (at a gateway, `edge` first says where the request comes from). The call takes a `stream` on a connection
of the endpoint's `pool` and tries again as `retry` says. `mirror` sends copies, `tunnel` keeps the accounts of a
request that became a websocket, `local_reply` has the answers in an upstream's place, `records` what telemetry
keeps. The codecs play the two roles, responder and stream."""
