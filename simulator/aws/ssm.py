"""SSM Parameter Store: parameters by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.aws.errors import Exceptions


class Ssm:
    """Parameters; each write is a new version."""

    calls: Mapping[str, str] = {"get_parameter": "GetParameter", "put_parameter": "PutParameter"}
    exceptions = Exceptions(
        ParameterAlreadyExists="ParameterAlreadyExists", ParameterNotFound="ParameterNotFound"
    )

    def __init__(self, parameters: Mapping[str, str] | None = None) -> None:
        self._parameters: dict[str, list[str]] = {
            name: [value] for name, value in (parameters or {}).items()
        }

    def put_parameter(
        self,
        *,
        Name: str,  # noqa: N803
        Value: str,  # noqa: N803
        Overwrite: bool = False,  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        """Write a parameter."""
        versions = self._parameters.setdefault(Name, [])
        if versions and not Overwrite:
            raise self.exceptions.make(
                "ParameterAlreadyExists", "PutParameter", "The parameter already exists."
            )
        versions.append(Value)
        return {"Version": len(versions), "ResponseMetadata": {"HTTPStatusCode": 200}}

    def get_parameter(self, *, Name: str, WithDecryption: bool = False) -> dict[str, Any]:  # noqa: N803
        """The newest version of a parameter; without decryption it is not readable."""
        versions = self._parameters.get(Name)
        if not versions:
            raise self.exceptions.make("ParameterNotFound", "GetParameter")
        value = versions[-1] if WithDecryption else f"AQICAH{_ciphertext(versions[-1])}"
        return {
            "Parameter": {
                "Name": Name,
                "Type": "SecureString",
                "Value": value,
                "Version": len(versions),
            },
            "ResponseMetadata": {"HTTPStatusCode": 200},
        }


def _ciphertext(value: str) -> str:
    """A stand-in for a ciphertext, as long as the value and without it."""
    return "x" * len(value)
