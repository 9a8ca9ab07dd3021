"""`python -m graphflow`."""

import os
import sys

if not sys.flags.safe_path and sys.path and sys.path[0] in ("", os.getcwd()):
    # `-m` puts the working directory first: what lies there is not what others mean by jinja2.
    del sys.path[0]

from graphflow.cli import main

main()
