"""`python -m graphflow`."""

from graphflow.cli import main

main()
