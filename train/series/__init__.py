"""Phantoms as files a scanner might have sent, with what they hold beside them."""
