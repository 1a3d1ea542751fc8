"""The configuration's model: Istio's and Kubernetes' objects as typed structs, and the way from text to them.

Read in this order:

* `meta.py`, `base.py`, `problems.py`: what every object has (metadata, marks), what structs are built from (durations
  in milliseconds), and how a finding looks.
* `virtualservice.py`, `destinationrule.py`, `gateway.py`, `serviceentry.py`, `workload.py`, `sidecar.py`: Istio's
  kinds, every field of them; `telemetry.py`: Istio's Telemetry; `meshconfig.py`: our mesh-wide settings,
  with `providers.py`; `gatewayapi/`: the Kubernetes Gateway API; `core.py`: Kubernetes' kinds as far as they
  matter; `kinds.py`: the table of them all.
* `yaml.py` (text to plain data with line and column) -> `decode.py` (plain data to a struct, each error told) ->
  `validate/` (the rules of Istio's webhook and CRDs) -> `load.py` (the entrances `load_text` and `load_object`).
* `commands.py`, `log_format.py`, `cel.py`, `regex.py`: what texts inside of objects are written in.
* `schema.py`, `descriptions/` and `support.py`: the CRDs and the support table, generated from the same structs.

Nothing here does IO or knows the time: text comes in, frozen objects and problems come out. An object with an error is
refused whole; a warning accepts it.
"""
