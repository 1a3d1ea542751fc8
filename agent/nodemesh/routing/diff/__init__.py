"""What a change of the configuration changes in behaviour: for each distinguishable class of request the old answer and
the new one.

- `affected.py` says which hosts a change can reach, `clients.py` which clients rules distinguish, and `spots.py` where
  there is something to ask: each of these clients, each host and port, each gateway.
- `samples.py` makes texts that an expression matches, `domain.py` of all conditions on one part of a request the values
  that tell them apart, and `space.py` of the rows of both sides sets of such values.
- `regions.py` finds the pairs of an old and a new rule that one request can fall to, with such a request.
- `told.py` says what a decision comes to, aspect by aspect, and `words.py` what a row asks for.
- `compare.py` brings it together within its bounds; `render.py` writes it as text and Markdown."""
