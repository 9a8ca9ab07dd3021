"""What a node can be: one kind a file."""
