"""Coffer in an account and on a cloud: checked, deployed, made known, taken back, removed.

Every change looks first, so that a run that was interrupted is gone on with by the same command.
What a later run has to know is kept where the thing itself is: the stack's parameters and tags, the
packages by their digest, Keystone's own descriptions (docs/decisions/0044-no-state-file.md).
"""
