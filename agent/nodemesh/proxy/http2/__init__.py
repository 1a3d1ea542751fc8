"""HTTP/2 for both sides, after RFC 9113, with HPACK (RFC 7541) and extended CONNECT (RFC 8441).

`server` serves a client's connection, and each of its requests is a `server_stream`; `client` is a connection to an
endpoint, with a `client_stream` for each call. Below them is the codec:

`connection` takes a peer's bytes and calls a `receiver` per stream and one `role`; its outgoing half is
`sending`. Frames are in `frames`, settings in `settings`, a stream and its states in `stream`. Field sections are read
by `decoder` into `field`s that know what they are, become a `head`, and are written by `encoder`; `table` and `huffman`
serve both. `limits` says how much a peer may ask for, `watch` counts what costs us without a use for anyone, and
`fault` is what is wrong, with the code that the peer gets and the reason that we count."""
