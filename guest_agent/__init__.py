"""The guest agent: a small process beside a database server that does what its queue tells it.

It polls a queue of its own, keeps a journal against duplicates, and reports to the control plane.
"""
