"""Whether sockmap is sound on this very kernel, and what it gains: an app in a scratch namespace and cgroup does what
real apps do to a proxy that does what the worker does, through the pinned programs.

- `run.py`: puts it together, and judges.
- `app.py`, `cases.py`, `client.py`: the app, a process of its own; needs the standard library only.
- `proxy.py`: the other end, another process."""
