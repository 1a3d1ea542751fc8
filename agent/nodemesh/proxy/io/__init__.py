"""The only files that do IO, with `worker`: the `reactor` and its `sockets`, `dial` for connections to upstreams,
`streams` and `pipes` for what comes in bulk, `sockmap` for what stays in the kernel, `datagrams` for DNS, and the
`platform` that the node gives the worker."""
