"""The rules of Istio's webhook and CRDs (istio/pkg/config/validation, istio/api's CRDs), one file per kind.

`table.py` says which function judges which kind. Each takes the decoded spec and its metadata and adds findings: an
error refuses the object, a warning accepts it; `../codes.py` explains every code. `common.py` (hosts, ports,
durations, labels) and `strings.py` (matches, headers) hold what the kinds share; `httproute.py` is VirtualService's
larger half, `loadbalancer.py` DestinationRule's. One object is judged at a time: what needs two is lint's.
"""
