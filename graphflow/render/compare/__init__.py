"""What a walk did, laid over the picture of its graph, and what differs between two graphs or two walks."""
