"""Benches of the simulator."""
