"""What a check raises beside its answer."""

from infra.errors import StackError


class Doubt(StackError):
    """Not what it should be, but no reason to stop."""


class Failed(StackError):
    """A deployment could not work so."""
