"""Plain connections: `connection` finds where one goes, `early` holds it while nobody has spoken yet, `relay` joins the
two sides. `tunnel` is a connection by way of a further proxy, `refusal` one that leads nowhere."""
