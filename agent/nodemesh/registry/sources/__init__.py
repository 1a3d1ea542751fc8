"""Where objects come from: `directory.py` reads files and folders of YAML, `kubernetes.py` an API server."""
