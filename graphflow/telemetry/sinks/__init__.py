"""Sinks: what takes events for good. One file each; `options.py` makes them of a table of settings."""
