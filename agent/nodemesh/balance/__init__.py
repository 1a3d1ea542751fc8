"""Which endpoint gets a request: load balancing, outlier detection and limits, with clock and random passed in.

For a route, `weights.choose` draws one of its destinations. For that destination's cluster a worker keeps a `Group`
(`group.py`), asks it for a `Host` (`host.py`) per request and tells it what became of it:

    group = Group(cluster, time.monotonic, random.Random(), share)
    host = group.pick(key, tried)             # None: no healthy upstream (503, flag UH)
    host = group.pick_address(address, port)  # PASSTHROUGH, headless: the address that the client dialled
    host.begin(); ...; host.end()             # brackets what is in flight there: least request counts it
    group.report(host, status)                # or report(host, 0, Outcome.CONNECT_FAILED), ... (`outlier.Outcome`)
    for gone in group.update(cluster): ...    # new endpoints or policies: drain the connections of those that left
    for gone in group.sweep(now): ...         # when group.next_sweep has come: ends ejections, drains dialled addresses
    for gone in group.close(): ...            # the cluster is in no table any more

`host.pool` is the caller's own. `group.limits` (`limits.py`) has the circuit breakers: `limits.requests.try_acquire()`
and `.release()`, likewise `connections`, `pending` and `retries`; False means overflow (503, flag UO), or for `retries`
no retry. `hashing.py` makes the key of a consistent hash from a header, cookie, query parameter or source IP.

Inside a pick: `levels.py` has the arithmetic of priorities, panic and localities; `algorithms.py`, `ring.py` and
`maglev.py` the balancers that choose among equals; `outlier.py` takes hosts out and lets them in. All of them count in
`rows.py`'s rows, which `shared.py` lays into memory that the node's workers share: control keeps its `Ledger` and calls
`assign` before it sends tables, each worker opens a `Share`. Thereby loads, ejections and breakers are the node's,
where a sidecar would see its own pod's traffic alone. `fairness.py` bounds what one pod may take of a worker."""
