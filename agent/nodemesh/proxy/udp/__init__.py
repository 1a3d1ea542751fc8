"""Datagrams of a gateway's clients: each client has a session with one endpoint, as by Envoy's UDP proxy. `sessions`
says who has one, `session` what becomes of its datagrams."""
