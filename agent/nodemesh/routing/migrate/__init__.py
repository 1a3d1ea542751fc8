"""VirtualServices as routes of the Gateway API, for people who move: `routes.py` writes the routes, `rules.py` each
rule, `notes.py` collects what has no equivalent, each thing at its place.

Nothing here is in a request's way: at work both APIs become the same rows, and no VirtualService becomes a route."""

from __future__ import annotations
