"""The bench: what nodemesh costs, measured beside what its users would run otherwise, and right answers besides.

`suites.py` lists the suites; each takes `outcome.Options` and brings home an `outcome.Outcome`: figures,
mistakes, notes. `report.py` shows them, `thresholds.py` judges them, `__main__.py` is the command.

Suite `http` (`http_suite.py`): `rules.py` says the mesh once; `envoy.py`, `nodemesh.py` and `reference.py` (nginx) turn
it into a running `proxy.Proxy` each; `upstream.py` plays the pods, `load.py` is wrk, `cases.py` says how much of what;
`verify.py` holds answers against what is right, `rude.py` are clients that break off; `processes.py` pins, accounts and
ends everything; `measure.py` is what is done with each case.

Suite `http2` (`http2_suite.py`): the same mesh asked over HTTP/2, by way of `h2load.py`; `verify_http2.py` holds its
answers against what is right.

Suite `relay` (`relay_suite.py`): opaque TCP, and TLS that ends at the proxy; `relay_proxies.py` are Envoy and nodemesh
for it, `relay_load.py` the client, `relay_upstream.py` the server, `relay_bytes.py` what they send and compare.
`aftermath.py` is what both suites with proxies look at when a load has gone.

Suite `fairness` (`fairness_suite.py`): what a pod feels of another one whose bytes are dear to read; these are
`attack.py`.

Suite `exchange` (`exchange_suite.py`, `exchange_job.py`, `exchange_http2_job.py`): the proxy's own code on an in-memory
network.

Suite `latency` (`latency_suite.py`): an open load (`latency_load.py`) through nodemesh, one Envoy, and two in a row
(`envoy_pair.py`).

Suite `work` (`work_suite.py`, `work_job.py`): calls, allocations (`allocations.c`) and system calls of one worker's
loop, counted; `work.py` holds them against `work.json`, in the tests as well.

Suite `fleet` (`fleet_suite.py`): an API server, a relay (`fleet_relay.py`) and a thousand agents (`fleet_agents.py`).

Suite `codec` (`codec_suite.py`, `codec_job.py`): HTTP/2 and HPACK without IO, beside python-hyper's.

Suite `tables` (`tables_suite.py`, `tables_job.py`): `cluster.py` makes up a cluster for registry and compiler.

Suite `datapath` (`datapath_suite.py`, `datapath_job.py`): a node in the lab with the agent on it; `datapath_app.py`
runs in its pods, dials four ways in turn and answers.

Suite `soak` (`soak_suite.py`, only when it is named): `soak_mesh.py` says what there is and what may be answered,
`soak_upstream.py` plays pods that die, hang, reset and trickle, `soak_load.py` the clients.

`page.py` makes manifests/docs/numbers.md of what runs wrote, and of what it keeps of them (`numbers.json`);
`processor.py` is its table on manifests/docs/sizing.md.

`jobs.py` runs the measured halves (`…_job.py`), which import nodemesh, in processes of their own.
"""
