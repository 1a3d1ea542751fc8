"""HTTP/1.1 for both sides, without IO, after RFC 9112.

`lines` reads one field line and remembers it, `errors` says whose fault something is and what to answer, `receive` cuts
heads out of a stream, `request` and `response` turn a head into the proxy's own (`proxy.head`), `body` knows the
framings of bodies, `write` puts heads and bodies together again."""
