"""Which endpoint gets a request: load balancing, outlier detection and limits, with clock and random passed in.

For a route, `weights.choose` draws one of its destinations. For that destination's cluster a worker keeps a `Group`
(`group.py`), asks it for a `Host` (`host.py`) per request and tells it what became of it:

    group = Group(cluster, time.monotonic, random.Random())
    host = group.pick(key, tried)             # None: no healthy upstream (503, flag UH)
    host = group.pick_address(address, port)  # PASSTHROUGH, headless: the address that the client dialled
    host.begin(); ...; host.end()             # brackets what is in flight: least request and limits count it
    group.report(host, status)                # or report(host, 0, Outcome.CONNECT_FAILED), … (`outlier.Outcome`)
    for gone in group.update(cluster): ...    # new endpoints or policies: drain the connections of those that left
    for gone in group.sweep(now): ...         # when group.next_sweep has come

`group.limits` (`limits.py`) has the circuit breakers: `limits.requests.try_acquire()` … `.release()`, likewise
`connections`, `pending` and `retries`; False means overflow (503, flag UO), or for `retries` no retry.
`host.pool` is the caller's own. Inside, `levels.py` has the arithmetic of priorities, panic and localities,
`algorithms.py` the balancers that draw among equals, `outlier.py` ejections, and `rows.py` the counters that they all
count in."""
