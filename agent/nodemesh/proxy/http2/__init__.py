"""HTTP/2 for both sides, without IO, after RFC 9113, with HPACK (RFC 7541) and extended CONNECT (RFC 8441).

`connection` takes a peer's bytes and calls a `roles.Receiver` per stream and one `roles.Role`; its outgoing half is
`sending`. Frames are in `frames`, settings in `settings`, a stream and its states in `stream`. Field sections are read
by `decoder` into `field`s that know what they are, become a `head`, and are written by `encoder`; `table` and `huffman`
serve both. `limits` says how much a peer may ask for, `watch` counts what costs us without a use for anyone, and
`fault` is what is wrong, with the code that the peer gets and the reason that we count."""
