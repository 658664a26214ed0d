"""The anatomy of the phantom: thorax, heart, coronary tree, calcium, as label volumes."""
