"""Secrets in the Parameter Store: each stays under the key that it is encrypted with.

A write that names no key would take the account's own (`alias/aws/ssm`) in the place of the
deployment's, whatever the parameter had before.
"""

import contextlib
from typing import Any


def key_of(ssm: Any, name: str) -> str | None:
    """The key that a parameter is encrypted with, as it was named; None without the parameter."""
    wanted = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
    found = ssm.describe_parameters(ParameterFilters=wanted)["Parameters"]
    return str(found[0]["KeyId"]) if found else None


def store(ssm: Any, name: str, value: str, key: str | None = None) -> int:
    """Write a secret under `key`, else under the one that it has; returns the write's number."""
    return _put(ssm, name, value, key or key_of(ssm, name), overwrite=True)


def ensure(ssm: Any, name: str, value: str, key: str | None, *, keep: bool) -> bool:
    """Have a secret stored under `key`, or under any: with this value, or, to `keep`, with its own.

    Returns whether anything had to be written. To `keep` also what somebody else stores meanwhile:
    nothing opens again what a ring has sealed that was written over.
    """
    found = _value(ssm, name)
    if keep and found is None:
        with contextlib.suppress(ssm.exceptions.ParameterAlreadyExists):
            _put(ssm, name, value, key, overwrite=False)
            return True
        found = _value(ssm, name)
    if keep and found is not None:
        value = found
    if found == value and key in (None, key_of(ssm, name)):
        return False
    store(ssm, name, value, key)
    return True


def _value(ssm: Any, name: str) -> str | None:
    try:
        return str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        return None


def _put(ssm: Any, name: str, value: str, key: str | None, *, overwrite: bool) -> int:
    under = {"KeyId": key} if key else {}
    answer = ssm.put_parameter(
        Name=name, Value=value, Type="SecureString", Overwrite=overwrite, **under
    )
    return int(answer["Version"])
