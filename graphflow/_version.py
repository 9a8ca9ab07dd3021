"""The version, for the rooms that tell it to others: they stand below the package's own face."""

__version__ = "0.1.0"
