"""What is proven of a graph before it walks, and the program that it is compiled to.

Proofs read declarations and never run them. Every problem is collected and said at once, with both ends and the line.
What has been proven is compiled into slots and links, so that the walk looks nothing up by name.
"""
