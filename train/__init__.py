"""Makes what ``model`` loads: phantoms, cases, training, evaluation, export."""
