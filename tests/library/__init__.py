"""The tools of nodes/tools: each alone, and each inside a walk."""
