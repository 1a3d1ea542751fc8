"""`python -m nodemesh`: the command without its console script."""

from .cli.main import main

main()
