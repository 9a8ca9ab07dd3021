"""A look at where graphflow runs: the environment, a project, its store; what is wrong, and what to type."""
