"""The only files that do IO, with `worker`: the `reactor` turns the `loop`, lane by lane (`lane`); `sockets` are
transports whose `life` and `reading` are tables, `served` is what the loop knows of them; a `flow` is one way between
two that are joined, by `pipes` and as `streams` where much comes. `listener` accepts, `dial` connects to upstreams,
`sockmap` is for what stays in the kernel, `datagrams` for DNS, and `platform` is what the node gives the worker."""
