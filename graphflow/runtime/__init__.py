"""The async shell that performs a walk.

It decides nothing: what a message or a failure means is the walk's business, what may be used is the ledger's, what a
node does is the node's. Every task that it starts has ended when its frame is left.
"""
