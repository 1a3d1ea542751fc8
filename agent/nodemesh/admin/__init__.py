"""The agent's HTTP API: what it knows and does, as JSON. Loopback only, unless `--admin` says otherwise.

- `state.py`: what the API asks of the node, as a protocol; the composition root implements it.
- `pages.py`: snapshot and tables as rows; pure.
- `graph.py`: the counters as a graph of who calls whom; pure.
- `http.py`: the routes (aiohttp).

All answers are JSON but `/metrics`. Fields may be added, none is taken away or renamed:

- `GET /healthz`: `{"status": "ok"}`: control lives.
- `GET /readyz`: 200 `{"ready": true, "missing": []}`, or 503 with a sentence for each thing that is missing.
- `GET /version`: `{version, python, kernel}`.
- `GET /metrics`: Prometheus text: Istio's metrics and `nodemesh_*`.
- `GET /status`: `{node, started, ready, missing, ebpf, self_test, sockmap, tables: {version, causes}, config: {sources,
  error, errors, warnings}, workers: [{number, pid, applied, restarts, error}], control: {pid, restarts}, listeners:
  [{name, client, destination, address}], pods: {enrolled, not_enrolled}, pods_not_served}`. `config.error` is why the
  newest configuration is not the one in force, empty where it is; `pods_not_served` has a sentence for each pod that
  runs, is to be in the mesh, and cannot be.
- `GET /services`: `[{host, namespace, kind, addresses, resolution, external, ports: [{port, name, protocol, endpoints,
  ready, mode, mode_reason, upstream_http, http_reason, http_rules_bypassed}], location}]`.
- `GET /endpoints`: `[{service, port, address, target_port, health, workload, node, locality, weight, labels}]`.
- `GET /routes`: `[{virtual_service, route, hosts, gateways, protocol, rule, name, match, action, location}]`.
- `GET /pods`: the pods of this node: `[{namespace, name, addresses, enrolled, why_not, cgroup, since,
  sockmap, capture}]`.
- `GET /connections`: `{open: [...], recent: [...]}`: what is open now, and the last requests, newest first.
- `GET /graph`: `{nodes: [{id, kind, namespace, name}], edges: [{source, target, protocol, requests, errors, p50_ms,
  p99_ms, sent, received}]}`.
- `GET /config/problems`: `[{severity, refused, code, message, file, line, column, kind, namespace, name, path}]`.
- `GET /explain?url=…&method=GET&header=name:value&as=NS/POD&gateway=k=v,…&sni=…`: as `nodemesh explain`.

Errors are `{"error": "one sentence"}` with a fitting status."""
