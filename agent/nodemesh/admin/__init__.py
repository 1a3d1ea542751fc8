"""The agent's HTTP API: what it knows and does, as JSON. Loopback only, unless `--admin` says otherwise.

- `state.py`: what the API asks of the node, as a protocol; the composition root implements it.
- `pages.py`: snapshot and tables as rows; pure.
- `graph.py`: the counters as a graph of the calls between workloads and services; pure.
- `sight.py`: what one client sees, as rows; pure.
- `picture.py`: the last seconds as the live page draws them, with modes, shares and problems; pure.
- `page.py`: the live page's files. Their sources are in `ui/`; `agent/build_page.py` makes `static/` of them.
- `http.py`: the routes (aiohttp).

All answers are JSON but `/metrics`. Fields may be added, none is taken away or renamed:

- `GET /`: the live page.
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
  ready, mode, mode_reason, upstream_http, http_reason, http_rules_bypassed, kernel_endpoints: [{address, port, opened,
  failed, closed, sent, received}]}], location}]`. `kernel_endpoints` counts what went past the proxy.
- `GET /endpoints`: `[{service, port, address, target_port, health, workload, node, locality, weight, labels,
  in_flight, ejected_for}]`.
- `GET /routes`: `[{virtual_service, route, hosts, gateways, protocol, rule, name, match, action, location}]`.
- `GET /routes?as=NS/POD`, `/endpoints?as=…`, `/clusters?as=…`, `/listeners?as=…`: by its view.
- `GET /pods`: the pods of this node: `[{namespace, name, addresses, enrolled, why_not, cgroup, since,
  without_rules, sockmap, capture}]`. `without_rules` are the seconds that its connections went without rules before.
- `GET /connections`: `{open: [...], recent: [...]}`: what is open now, and the last requests, newest first.
- `GET /graph`: `{nodes: [{id, kind, namespace, name}], edges: [{source, target, protocol, requests, errors, p50_ms,
  p99_ms, sent, received}]}`.
- `GET /graph?window=SECONDS&back=SECONDS&namespace=NS`: the picture of that time: `{as_of, window, since, namespaces,
  missing, problems, changes, nodes: [{id, kind, namespace, name, host, modes, versions, endpoints, problems,
  location}], edges: [{id, source, target, clients, host, protocol, requests, errors, rps, failing, p50_ms, p99_ms,
  sent, received, codes, versions, wished_by}]}`. `missing` says why there is nothing to see. `GET /graph/live?…`: the
  same each second, as server-sent events.
- `GET /decisions?client=NS/WORKLOAD&namespace=NS&host=HOST&failed=1`: the last requests that fit, newest first, as in
  /connections; `namespace` is the client's.
- `GET /changes`: `[{at, version, causes, count, seconds}]`: the newest changes, and how long each took to all workers.
- `GET /snapshot`: all that the configuration says, in msgpack, for `nodemesh diff agent NEW`; Secrets are no part of it.
- `GET /config/problems`: `[{severity, refused, code, message, file, line, column, kind, namespace, name, path}]`.
- `GET /explain?url=…&method=GET&header=name:value&as=NS/POD&gateway=k=v,…&sni=…`: as `nodemesh explain`.

Errors are `{"error": "one sentence"}` with a fitting status. Every answer has the field `Nodemesh-Version`, by which
the commands tell an agent from another server at that address."""
