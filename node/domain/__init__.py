"""The node's own terms and rules. Standard library only."""
