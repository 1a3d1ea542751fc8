"""What gRPC is to a proxy, whichever HTTP carries it, without IO: `status` in its two places and forms, `timeout` of a
client's deadline, the `counter` of messages within a body, and `web`, the translation from and to gRPC-Web."""
