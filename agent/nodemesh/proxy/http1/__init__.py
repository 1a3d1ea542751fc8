"""HTTP/1.1 for both sides, after RFC 9112.

`server` serves a client's connection as long as `patience` lasts and writes by `answer`; `client` is one to an
endpoint. Below them is the codec: `receive` cuts heads out of a stream, `request` and `response` turn a head into the
proxy's own (`http.head`), `body` knows the framings of bodies, `write` puts heads, with what the proxy has to say, and
bodies together again."""
