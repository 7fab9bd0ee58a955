"""Ablations: rows of a plan trained with several seeds, and what the results say."""
