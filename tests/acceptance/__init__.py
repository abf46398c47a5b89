"""Acceptance tests: a real stack, real databases, real clients, real kills."""
