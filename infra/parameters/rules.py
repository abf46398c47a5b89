"""Rule files, from what is offered and what the engines tell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from chalicelib.engines.parameter import Kind, Parameter, Scalar
from chalicelib.engines.parameters import FOLDER, RuleFile
from infra.parameters import engines

OFFERED: Final = Path(__file__).with_name("offered.yaml")
MOST: Final = 2**63 - 1
"""Of a whole number in a message and in a row."""

Offered = dict[str, dict[str, dict[str, Any] | None]]


def made(series: str, offered: Mapping[str, Mapping[str, Any] | None]) -> list[Parameter]:
    """The rules of a series: what a bare engine tells, as far as it is offered."""
    return [
        msgspec.structs.replace(each, **_narrowed(offered[each.name]))
        for each in told(series, offered)
    ]


def told(series: str, offered: Mapping[str, Mapping[str, Any] | None]) -> list[Parameter]:
    """What a bare engine, which is started for it, tells of the parameters that are offered."""
    match series.partition("-"):
        case "mariadb", _, _:
            rows = engines.mariadb_variables()
            return [_of_mariadb(name, rows[name]) for name in offered]
        case "mysql", _, _:
            rows = engines.mysql_variables(list(offered))
            return [_of_mysql(name, rows[name]) for name in offered]
        case "postgresql", _, major:
            settings = {
                name.lower(): row for name, row in engines.postgresql_settings(major).items()
            }
            return [_of_postgresql(name, settings[name]) for name in offered]
        case "redis", _, _:
            found = engines.redis_settings()
            return [_of_redis(name, found[name], offered[name] or {}) for name in offered]
        case _:
            raise ValueError(f"no engine tells of {series}")


def read() -> Offered:
    """What is offered, by series and name. What has no number is what several share."""
    found = msgspec.yaml.decode(OFFERED.read_bytes(), type=Offered)
    return {series: offered for series, offered in found.items() if "-" in series}


def text(rules: list[Parameter]) -> bytes:
    """A rule file."""
    return msgspec.json.format(msgspec.json.encode(RuleFile(rules)), indent=2) + b"\n"


def decoded(content: bytes) -> list[Parameter]:
    """What a rule file holds."""
    return msgspec.json.decode(content, type=RuleFile).parameters


def path(series: str) -> Path:
    """Where the rule file of a series is."""
    return FOLDER / f"{series}.json"


def _narrowed(changes: Mapping[str, Any] | None) -> dict[str, Any]:
    known = {name: value for name, value in (changes or {}).items() if name != "type"}
    if "allowed" in known:
        known["allowed"] = tuple(known["allowed"])
    return known


def _of_mariadb(name: str, row: Mapping[str, Any]) -> Parameter:
    kind = row["VARIABLE_TYPE"].split()[0]
    words = tuple((row["ENUM_VALUE_LIST"] or "").split(",")) if row["ENUM_VALUE_LIST"] else ()
    told = row["GLOBAL_VALUE"]
    restart = row["READ_ONLY"] == "YES"
    match kind:
        case "BOOLEAN":
            return Parameter(name, Kind.BOOLEAN, told == "ON", restart)
        case "INT" | "BIGINT":
            step = max(int(row["NUMERIC_BLOCK_SIZE"] or 1), 1)
            least, most = int(row["NUMERIC_MIN_VALUE"]), int(row["NUMERIC_MAX_VALUE"])
            return Parameter(
                *(name, Kind.INTEGER, min(int(told), MOST), restart),
                min=-(-least // step) * step,
                max=min(most, MOST) // step * step,
                step=step,
            )
        case "DOUBLE":
            return Parameter(
                *(name, Kind.FLOAT, float(told), restart),
                min=float(row["NUMERIC_MIN_VALUE"]),
                max=float(row["NUMERIC_MAX_VALUE"]),
            )
        case _:
            return Parameter(
                *(name, Kind.STRING, told, restart),
                allowed=words,
                several=kind == "SET",
                stands_for=row.get("STANDS_FOR", {}),
            )


def _of_mysql(name: str, row: Mapping[str, Any]) -> Parameter:
    restart, told = row["READ_ONLY"], row["VARIABLE_VALUE"]
    match row["DATA_TYPE"]:
        case "Boolean":
            return Parameter(name, Kind.BOOLEAN, told == "ON", restart)
        case "Integer":
            step, least, most = row["STEP"], int(row["MIN_VALUE"]), int(row["MAX_VALUE"])
            return Parameter(
                *(name, Kind.INTEGER, min(int(told), MOST), restart),
                min=-(-least // step) * step,
                max=min(most, MOST) // step * step,
                step=step,
            )
        case "Numeric":
            bounds = float(row["MIN_VALUE"]), float(row["MAX_VALUE"])
            return Parameter(name, Kind.FLOAT, float(told), restart, min=bounds[0], max=bounds[1])
        case kind:
            return Parameter(
                *(name, Kind.STRING, told, restart),
                allowed=tuple(row["WORDS"]),
                several=kind == "Set",
                stands_for=row["STANDS_FOR"],
            )


def _of_postgresql(name: str, row: Mapping[str, Any]) -> Parameter:
    kind = {"bool": Kind.BOOLEAN, "integer": Kind.INTEGER, "real": Kind.FLOAT}.get(row["vartype"])
    restart, unit, told = row["context"] == "postmaster", row["unit"] or "", row["boot_val"] or ""
    if kind is None:
        return Parameter(name, Kind.STRING, told, restart, allowed=tuple(row["enumvals"] or ()))
    if kind is Kind.BOOLEAN:
        return Parameter(name, kind, told == "on", restart)
    number = int if kind is Kind.INTEGER else float
    return Parameter(
        *(name, kind, number(told), restart),
        min=number(row["min_val"]),
        max=number(row["max_val"]),
        unit=unit,
    )


def _of_redis(name: str, told: str, given: Mapping[str, Any]) -> Parameter:
    kind = Kind(given.get("type", "string" if "allowed" in given else "integer"))
    values: dict[Kind, Scalar] = {Kind.BOOLEAN: told == "yes", Kind.STRING: told}
    value = values[kind] if kind in values else int(told)
    return Parameter(name, kind, value)
