"""nodemesh: a sidecarless service mesh for Linux nodes.

eBPF programs at the pods' cgroups take outgoing connections over at connect(); what needs no L7 decision is balanced
in the kernel, what does goes through a shared per-node proxy that applies Istio's traffic API. The packages, in the
order in which data flows through them: `config` -> `registry` -> `routing` -> `balance`, `proxy` and `datapath`;
`node` puts them together, `admin` and `cli` are the ways in."""

__version__ = "0.2.0"
