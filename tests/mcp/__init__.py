"""Servers of the Model Context Protocol: real ones, recorded ones, and ones that misbehave."""
