"""What a new connection is: `reception` takes it as its port's protocol says; `sniff` tells what an undeclared port
carries; `arrival` serves a gateway's TLS ports, where the ClientHello's name chooses who ends it.
`proxy_protocol` reads what a load balancer says first, `sources` shares a gateway among its clients."""
