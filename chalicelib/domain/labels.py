"""What the owner of an instance notes on it: a description and tags. Coffer itself reads neither.

The bounds are those of Nova's descriptions and of the API-SIG's tags, so that a filter can name
several tags with commas between them.
"""

from __future__ import annotations

import re
from typing import Final

from chalicelib.domain import bounds
from chalicelib.errors import BadRequest

_TAG: Final = re.compile(rf"[^/,]{{1,{bounds.MAX_TAG}}}")


def description(wished: str) -> str | None:
    """The text, or None for an empty one: that is how it is taken away."""
    if not wished.isprintable():
        raise BadRequest("The 'description' must be printable text on one line.")
    return wished or None


def tags(wished: list[str]) -> set[str] | None:
    """The tags, or None for none."""
    for tag in wished:
        if not (_TAG.fullmatch(tag) and tag.isprintable() and tag == tag.strip()):
            raise BadRequest(
                f"Each of 'tags' must be 1 to {bounds.MAX_TAG} printable characters without '/', "
                "',' and spaces at its ends."
            )
    if len(set(wished)) < len(wished):
        raise BadRequest("One of 'tags' is named twice; please remove the duplicate entries.")
    return set(wished) or None
