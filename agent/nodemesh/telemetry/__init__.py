"""What happened: counters, access log, traces and the last requests, from the worker's record to the /metrics page.

In reading order:

- `record.py`: what the proxy knows of one request or connection when it ends.
- `trace.py`: where that request is in a trace; `span.py`: the span that is exported of it.
- `memo.py`: results that repeat from record to record, remembered.
- `labels.py`: that record as the labels of Istio's standard metrics.
- `histogram.py`: the buckets, counted as plain integers.
- `bounds.py`: how many series there may be, and under what the rest is counted.
- `bypass.py`: connections that the HTTP rules of their port cannot be applied to. `names.py`: DNS queries.
- `decisions.py`: the ring of the last requests.
- `dump.py`: what a worker has counted since the last time, as control gets it.
- `observer.py`: what Telemetry asks of each client; `overrides.py`: its labels of metrics, `conditions.py`: its
  expressions of CEL.
- `telemetry.py`: a worker's `Telemetry`: counts records, keeps the last ones, writes the log; `dumps()` for control.
- `values.py`, `moments.py`, `operators.py`: what Envoy's command operators show of a record.
- `formatting.py`: formats made of them, Istio's default text and JSON formats among them.
- `access_log.py`: the log's lines, written in batches without ever blocking.
- `totals.py`: control's side: the dumps of all workers, dead ones included, added up; idle series leave.
- `history.py`: the last quarter of an hour.
- `exposition.py`: the totals and the agent's own numbers as a Prometheus text page.

A worker never talks to Prometheus: it counts integers under cached label tuples, and control asks for what is new
every two seconds and when it is scraped. The worker repeats each dump until control has it kept: none is lost, and none
counts twice, when control dies. What a worker had counted when it was last asked outlives the worker.

Nearly every label and field is the word of a pod, an upstream or a client: all are bounded in number and in length."""
