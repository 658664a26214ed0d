"""The anatomy of the phantom: thorax, heart, coronary tree, calcium, as signed distances, layers and blobs."""
