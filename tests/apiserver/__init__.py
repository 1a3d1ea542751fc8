"""An API server for tests: real HTTP, real watches, and every bad day of a real one on demand.

kinds.py      which resources there are, and how a path names one
etcd.py       the objects with their revisions, and the log that watches follow
schemas.py    unknown fields and wrong types, by the official client's own models
discovery.py  what kubectl asks before it applies anything
rights.py     who may do what: RBAC
faults.py     what is to go wrong
server.py     the requests
running.py    the server in a thread, for tests that run programs against it"""
