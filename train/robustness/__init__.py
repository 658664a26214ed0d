"""Whether a bundle reads the same patient alike when only the scan is taken or stored otherwise."""
