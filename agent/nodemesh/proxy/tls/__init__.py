"""TLS: `transport` is a transport over a transport, for both directions; `certificates` makes contexts of files and
Secrets; `client_hello` reads a server name without ending the connection's TLS."""
