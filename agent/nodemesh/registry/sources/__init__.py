"""Where objects come from: files, or a cluster's API server. Every source hands over `SourceChanges`, and keeps
what was good before in the place of what is refused.

directory.py   files and folders of YAML, polled

A cluster, from the outside in:

cluster.py     all that is read of it, in batches; falls back on disk at a start without a server
secrets.py     the Secrets and ConfigMaps that rules name, one by one, and never on disk
debounce.py    when a batch is handed on
cache.py       the last good state on disk
reflector.py   one kind's list and watch, through cuts, expiry and outages
resources.py   which kinds, and how little of each is asked for
reading.py     an object's JSON to the model, with only what the mesh reads
watch.py       the wire format: list pages, watch events
backoff.py     how long to wait before the server is asked again
api.py         what all this needs of a client
kubeconfig.py  what a kubeconfig from a Secret may hold
kubernetes.py  that client: address, credentials and TLS by the official library
relayed.py     the same with a relay before it, and without where that does not answer

For those who serve in a cluster, or ask one:

reviews.py     whose a token is, by TokenReview
portforward.py connections to a pod's port by way of the API server"""
