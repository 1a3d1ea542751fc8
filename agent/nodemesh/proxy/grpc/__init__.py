"""What gRPC is to a proxy, whichever HTTP carries it, without IO: `status` in its two places and forms, `timeout` of a
client's deadline, `messages` counted within a body, and `web`, the translation from and to gRPC-Web."""
