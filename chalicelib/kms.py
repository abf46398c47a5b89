"""The deployment's key in KMS, as a function uses it itself: it makes keys that are sealed, and
opens them.

A context is bound to each, and KMS writes it down with every use: with another one nothing opens.
Which contexts whom are allowed says the policy of the key (`infra/package/key.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from chalicelib import aws
from chalicelib.bus.envelope import BadSeal
from chalicelib.errors import Unavailable
from chalicelib.outages import OUTAGES
from chalicelib.settings import settings

READ_SECONDS: Final = 3
"""With the tries of a client (`chalicelib.aws`) less than the 29 s of a request."""
_OF_ANOTHER: Final = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})

log = logging.getLogger(__name__)


def new_key(context: Mapping[str, str]) -> bytes:
    """A new key of 32 bytes, sealed; nobody has seen it. Raises `Unavailable`."""
    client = _client()
    sealed: bytes = _answer(
        client.generate_data_key_without_plaintext, KeySpec="AES_256", EncryptionContext=context
    )["CiphertextBlob"]
    return sealed


def opened(sealed: bytes, context: Mapping[str, str]) -> bytes:
    """The key; `BadSeal` when it was sealed for another context, and `Unavailable`."""
    client = _client()
    key: bytes = _answer(client.decrypt, CiphertextBlob=sealed, EncryptionContext=context)[
        "Plaintext"
    ]
    return key


def _client() -> Any:
    return aws.remembered("kms", lambda: aws.make_client("kms", read_timeout=READ_SECONDS))


def _answer(call: Any, **asked: Any) -> Any:
    """What KMS answers.

    Whatever else it says may be over soon, and never means that a key is lost: it is away, or
    somebody has disabled the key or changed who may use it.
    """
    try:
        return call(KeyId=f"alias/{settings().prefix}", **asked)
    except OUTAGES as error:
        if isinstance(error, ClientError) and error.response["Error"]["Code"] in _OF_ANOTHER:
            raise BadSeal("not sealed for that") from None
        log.exception("the key of the deployment was not used")
        raise Unavailable("The deployment's key cannot be used at the moment; try again.") from None
