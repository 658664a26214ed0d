"""``python -m node`` is the ``second-reader`` script."""

from node.cli import main

main()
