"""Traces read back: the log lines of one request or operation, as a tree and as a picture."""
