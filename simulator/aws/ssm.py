"""SSM Parameter Store: parameters by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from simulator.aws.errors import Exceptions

ACCOUNTS_KEY: Final = "alias/aws/ssm"
"""What a parameter is encrypted with whose write names no key."""


class Ssm:
    """Parameters; each write is a new version."""

    calls: Mapping[str, str] = {
        "describe_parameters": "DescribeParameters",
        "get_parameter": "GetParameter",
        "put_parameter": "PutParameter",
    }
    exceptions = Exceptions(
        ParameterAlreadyExists="ParameterAlreadyExists", ParameterNotFound="ParameterNotFound"
    )

    def __init__(self, parameters: Mapping[str, str] | None = None) -> None:
        self._parameters: dict[str, list[str]] = {
            name: [value] for name, value in (parameters or {}).items()
        }
        self._keys: dict[str, str] = {}

    def put_parameter(
        self,
        *,
        Name: str,  # noqa: N803
        Value: str,  # noqa: N803
        Overwrite: bool = False,  # noqa: N803
        KeyId: str = ACCOUNTS_KEY,  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        """Write a parameter."""
        versions = self._parameters.setdefault(Name, [])
        if versions and not Overwrite:
            raise self.exceptions.make(
                "ParameterAlreadyExists", "PutParameter", "The parameter already exists."
            )
        versions.append(Value)
        self._keys[Name] = KeyId
        return {"Version": len(versions), "ResponseMetadata": {"HTTPStatusCode": 200}}

    def describe_parameters(self, *, ParameterFilters: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """What is known of parameters that are named; without their values."""
        names = [name for each in ParameterFilters for name in each["Values"]]
        return {
            "Parameters": [
                {"Name": name, "KeyId": self._keys.get(name, ACCOUNTS_KEY)}
                for name in names
                if name in self._parameters
            ]
        }

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
