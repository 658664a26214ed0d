"""Phantoms held against real scans: pictures side by side, and the same statistics of both."""
