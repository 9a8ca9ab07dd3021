"""The graphs that are shipped in graphs/, each through its main path and its other ways."""
