"""What ``second-reader-train`` does, one module a command; each has an ``app`` that the command line takes in."""
