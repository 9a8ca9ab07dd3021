"""Models behind command-line tools and their subscriptions: a process in place of a server."""
