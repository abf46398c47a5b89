"""Bytes that are not what was written."""


def changed(body: bytes) -> bytes:
    """`body` with its last byte another one: never the same bytes, whatever they are."""
    return body[:-1] + bytes([body[-1] ^ 1])
