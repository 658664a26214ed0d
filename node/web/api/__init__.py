"""The API for machines, version 1: the same cases, reads and figures as the pages, under the same roles."""
