"""Models that run in this very process.

Weights are found by hash and never loaded by an import. One thread owns an engine. Who does not ask for a local model
pays nothing for it.
"""
