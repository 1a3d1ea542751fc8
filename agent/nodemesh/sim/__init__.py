"""A mesh in one process, in memory, under a virtual clock: the very proxy that workers run, without a socket.

`pipe` holds the two ends of a connection (the proxy's transport, the other side's peer), `network` connects them and
knows the listening servers, `world` puts a proxy with its tables on top and lets time pass."""
