"""Plain connections: `connection` finds where one goes, `early` holds it while nobody has spoken yet, `relay` joins the
two sides."""
