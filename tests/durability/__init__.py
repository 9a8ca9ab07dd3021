"""Runs that outlive their processes: what is killed, frozen, cut off or robbed of its disk."""
