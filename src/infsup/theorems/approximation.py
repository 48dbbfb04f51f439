"""Approximation by networks: constructions with their exact errors, and lower bounds."""
