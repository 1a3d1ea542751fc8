"""What a new connection is: `reception` takes it as its port's protocol says; `sniff` tells what an undeclared port
carries; `arrival` serves a gateway's TLS ports, where the ClientHello's name chooses who ends it."""
