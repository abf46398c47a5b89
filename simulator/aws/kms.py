"""KMS: one key, as the functions use it: it makes keys that are sealed, and opens them.

Its policy is that of the template as far as it is about contexts (`infra/package/key.py`); who may
call it at all is in the rights of the functions' roles.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from simulator.aws.errors import Exceptions, client_error

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
SPEC: Final = "AES_256"


class Kms:
    """Seals with a key that never leaves it; the context is what is authenticated beside."""

    calls: Mapping[str, str] = {
        "decrypt": "Decrypt",
        "generate_data_key_without_plaintext": "GenerateDataKeyWithoutPlaintext",
    }
    exceptions = Exceptions(
        InvalidCiphertextException="InvalidCiphertextException",
        NotFoundException="NotFoundException",
    )

    def __init__(self, alias: str, deployment_id: str, chance: Callable[[int], bytes]) -> None:
        """`alias` is what the key is called by; `chance` gives random bytes."""
        self.enabled = True
        self._alias = alias
        self._deployment_id = deployment_id
        self._chance = chance
        self._key = AESGCM(chance(KEY_BYTES))

    def generate_data_key_without_plaintext(
        self,
        *,
        KeyId: str,  # noqa: N803
        KeySpec: str,  # noqa: N803
        EncryptionContext: Mapping[str, str],  # noqa: N803
    ) -> dict[str, Any]:
        """A new key, sealed."""
        operation = "GenerateDataKeyWithoutPlaintext"
        self._require(operation, KeyId, EncryptionContext)
        if KeySpec != SPEC:
            raise client_error("ValidationException", operation, f"no such KeySpec: {KeySpec}")
        nonce, plain = self._chance(NONCE_BYTES), self._chance(KEY_BYTES)
        sealed = nonce + self._key.encrypt(nonce, plain, _text(EncryptionContext))
        return {"CiphertextBlob": sealed, "ResponseMetadata": _OK}

    def decrypt(
        self,
        *,
        KeyId: str,  # noqa: N803
        CiphertextBlob: bytes,  # noqa: N803
        EncryptionContext: Mapping[str, str],  # noqa: N803
    ) -> dict[str, Any]:
        """The key that was sealed, by who knows its context."""
        self._require("Decrypt", KeyId, EncryptionContext)
        nonce, sealed = CiphertextBlob[:NONCE_BYTES], CiphertextBlob[NONCE_BYTES:]
        try:
            plain = self._key.decrypt(nonce, sealed, _text(EncryptionContext))
        except (InvalidTag, ValueError):
            raise self.exceptions.make("InvalidCiphertextException", "Decrypt") from None
        return {"Plaintext": plain, "ResponseMetadata": _OK}

    def _require(self, operation: str, key_id: str, context: Mapping[str, str]) -> None:
        if key_id != self._alias:
            raise self.exceptions.make("NotFoundException", operation, f"no key {key_id}")
        if not self.enabled:
            raise client_error("DisabledException", operation, f"{key_id} is disabled.")
        if context.get("deployment") != self._deployment_id or not context.get("project"):
            text = f"not authorized to perform: kms:{operation} with this context"
            raise client_error("AccessDeniedException", operation, text)


_OK: Final = {"HTTPStatusCode": 200}


def _text(context: Mapping[str, str]) -> bytes:
    """A context has no order."""
    return json.dumps(dict(sorted(context.items()))).encode()
