"""Context policies."""
