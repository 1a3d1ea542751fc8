"""What a new connection is: `entrance` for plain listeners, `sniff` for what an undeclared port carries, `arrival` for
a gateway's TLS ports, where the ClientHello's name chooses who ends it."""
