"""Deliberate bugs in the shipped code, each of which the simulator must notice."""
