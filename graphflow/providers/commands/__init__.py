"""Models behind command-line tools and their subscriptions: a process in place of a server.

A tool is asked to answer and kept from doing anything else: no tools of its own, no settings of the user's, an empty folder.
Each module turns a request into one call of its tool, and the tool's lines into events. `process` runs the call and leaves
nothing running, however it ends.
"""
