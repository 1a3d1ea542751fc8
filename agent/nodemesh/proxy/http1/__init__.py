"""HTTP/1.1 for both sides, without IO, after RFC 9112.

`receive` cuts heads out of a stream, `lines` reads their field lines and remembers them, `request` and `response` turn
a head into the proxy's own (`http.head`), `body` knows the framings of bodies, `write` puts heads, with what the proxy
has to say, and bodies together again; `errors` says whose fault something is and what to answer."""
