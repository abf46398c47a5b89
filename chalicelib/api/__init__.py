"""The HTTP API, Trove's v1.0: one module per resource, from schema to policy to domain to view."""

from chalicelib.api.application import create_app

__all__ = ["create_app"]
