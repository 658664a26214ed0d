"""The pages, one module each, and the navigation's order."""
