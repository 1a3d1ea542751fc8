"""HTTP, whatever carries it.

An `exchange` is one request's life: it has routing decide, applies `fault` and `cors`, changes `headers`, and makes a
`call` to the chosen cluster (at a gateway, `edge` first says whom the request comes from). The call takes a connection
from the endpoint's `pool` and tries again as `retry` says. `mirror` sends copies, `tunnel` keeps the accounts of a
request that became a websocket, `local_reply` has the answers in an upstream's place, `records` what
telemetry keeps."""
