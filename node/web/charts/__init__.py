"""Charts as SVG made on the server: no script, no style of their own, colours by class, with a table beside each."""
