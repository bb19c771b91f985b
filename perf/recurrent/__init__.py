"""Recurrent networks that are measured, and the libraries that run them."""
