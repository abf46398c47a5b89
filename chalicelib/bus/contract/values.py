"""What stands in arguments and in answers alike, and the bounds of both."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from chalicelib.engines.parameter import LONGEST_VALUE, MOST_VALUES

ANY_HOST: Final = "%"
MOST_ROWS: Final = 1000
"""Rows in one answer, so that it stays below the size of a message."""
MOST_DATABASES: Final = 10_000
"""Databases that one user may use."""
MOST_NAME: Final = 255
MOST_MARKER: Final = 1024
MOST_MESSAGE: Final = 1024
"""Characters of a refusal."""
MOST_RESULT_BYTES: Final = 300_000
"""Of a result as JSON in ASCII, as the row of its command holds it; DynamoDB takes 400 KB a row."""
MOST_DEPTH: Final = 20
"""Of lists and objects within each other in a result: five are used, and who reads some hundred
more than one level at a time runs out of stack."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_NAME)]
Marker = Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_MARKER)]

Setting = bool | int | float | Annotated[str, msgspec.Meta(max_length=LONGEST_VALUE)]
Settings = Annotated[dict[Name, Setting], msgspec.Meta(max_length=MOST_VALUES)]
"""Values of parameters by name."""

MOST_BUNDLE_BYTES: Final = 128 * 1024**2
AgentVersion = Annotated[str, msgspec.Meta(pattern=r"^[0-9][0-9A-Za-z.+-]{0,63}$(?!\n)")]
"""Of a guest agent's bundle, as `coffer image` gives it one; a folder is named so."""
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Etag = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$(?!\n)")]
BundleSize = Annotated[int, msgspec.Meta(ge=1, le=MOST_BUNDLE_BYTES)]

BackupId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f-]{36}$(?!\n)")]
Location = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9A-Za-z_-]+(/[0-9A-Za-z_-]+)+$(?!\n)", max_length=255)
]
"""Where a backup's objects lie in the store: what their keys begin with, before a "/"."""
Position = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z/:._-]*$(?!\n)", max_length=255)]
"""Up to where an engine's data are in a backup, in the engine's own words."""
LogPosition = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-F/-]*$(?!\n)", max_length=64)]
"""A place in a log by which its customers know it (`engines.positions`); empty where none is
told."""
Bytes = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Sentence = Annotated[str, msgspec.Meta(max_length=MOST_MESSAGE)]
"""What a guest says for its customer; whoever shows it makes it printable."""


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a message. What has its default is not sent, so that a default never changes."""


class DatabaseName(Value, frozen=True):
    """A reference to a database."""

    name: Name


class Database(Value, frozen=True):
    """A database as its server has it, or is to have it: the server's own defaults fill it up."""

    name: Name
    character_set: Name | None = None
    collate: Name | None = None


Usable = Annotated[list[DatabaseName], msgspec.Meta(max_length=MOST_DATABASES)]
"""The databases that one user may use."""
