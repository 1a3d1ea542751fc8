"""The agent's HTTP API: what it knows and does, as JSON. Loopback only, unless `--admin` says otherwise; then
others read what probes and Prometheus ask for, no more.

- `state.py`: what the API asks of the node, as a protocol; the composition root implements it.
- `pages.py`: snapshot and tables as rows; pure.
- `graph.py`: the counters as a graph of the calls between workloads and services; pure.
- `sight.py`: what one client sees, as rows; pure.
- `picture.py`: the last seconds as the live page draws them, with modes, shares and problems; pure.
- `mesh.py`: what is seen by this agent alone or with those of other nodes, with `counted.py` (what they tell each
  other) and `chosen.py` (which requests); `peers.py`: what other agents may ask.
- `page.py`: the live page's files. Their sources are in `ui/`; `agent/build_page.py` makes `static/` of them.
- `door.py`: who is let in, and who makes room for others. `http.py`: the routes (aiohttp).

`operations.py` is the table of the paths, `answers.py` has the shapes of what they answer, and `openapi.py` makes the
OpenAPI document (`GET /openapi.json`) and the reference page (`manifests/docs/admin-api.md`) of both. Nothing can be
changed here: there are GETs alone.

Errors are `{"error": "one sentence"}` with a fitting status. Every answer has the field `Nodemesh-Version`, by which
the commands tell an agent from another server at that address."""
