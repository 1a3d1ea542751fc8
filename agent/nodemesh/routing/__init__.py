"""What the snapshot means: which way a dialled address goes, and what becomes of each request. Pure: no IO, no clock.

The data's way, in reading order:
- `compile.py` makes `tables.py`'s Tables of a Snapshot, which all clients share: names resolved (`names.py`),
  VirtualServices with their delegates merged (`virtualservices.py`, `delegates.py`), DestinationRules merged
  (`destinationrules.py`). `wire.py` carries them to the workers, as differences.
- `view.py` shows one client its part: `frontends.py` says what an address means (a `frontend.py`) and `mode.py` which
  of pass, kernel and proxy its connections take; `listing.py` keeps all of them from version to version. Out of its
  `sight.py`, `lookup.py` finds what is visible to the client (`scope.py`: its Sidecar) and notes what it read, so that
  `memo.py` can keep results while these inputs last. `nametable.py` says what names mean in the DNS.
- `routes.py` turns rules into `decision.py`'s decisions, with `policies.py`, `headers.py`, `clusters.py` and
  `locality.py`; `trafficpolicy.py` has a DestinationRule's policy for one subset and port. `match.py` holds the
  compiled matchers of HTTP rules, `connections.py` those of TLS and TCP rules, `gateways.py` what a gateway workload
  serves (`servername.py`: clusters that are asked for by SNI). `rewrite.py` has the path arithmetic that the proxy
  carries out. `observation.py` says what is logged, counted and traced of a workload.
- `explain.py` answers a `question.py` with an `answer.py`: the same views and matchers, recorded by `trace.py`.
- `lint/` reports what is wrong across objects."""
