"""Filters, sorting and pages of list calls, on rendered documents, as the services apply them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from simulator.cloud.http.plumbing import Json, truth
from simulator.cloud.model.errors import BadRequest

LIMIT_MOST = 1000
PAGING = {"limit", "marker", "fields", "sort_key", "sort_dir", "page_reverse", "sort", "with_count"}


def matches(document: Json, query: QueryParams) -> bool:
    """Neutron's exact filters: values of one name are alternatives, names are all required."""
    for name in query.keys():  # noqa: SIM118 - iterating yields a name once for each value
        if name not in PAGING and not _matches_one(document, name, query.getlist(name)):
            return False
    return True


def _matches_one(document: Json, name: str, wanted: list[str]) -> bool:
    if name == "fixed_ips":
        return all(_has_address(document, pair) for pair in wanted)
    if name in ("tags", "tags-any", "not-tags", "not-tags-any"):
        return _has_tags(document, name, wanted)
    if name not in document:
        return True  # Neutron ignores a filter that the resource does not have
    value = document[name]
    if isinstance(value, bool):
        return any(truth(text) == value for text in wanted)
    if isinstance(value, list):
        return any(text in value for text in wanted)
    return ("" if value is None else str(value)) in wanted


def _has_address(document: Json, pair: str) -> bool:
    """One of Neutron's `fixed_ips=ip_address=10.0.0.1` filters."""
    key, _, value = pair.partition("=")
    key = "ip_address" if key == "ip_address_substr" else key
    return any(ip.get(key) == value for ip in document.get("fixed_ips", []))


def _has_tags(document: Json, name: str, wanted: list[str]) -> bool:
    tags = set(document.get("tags", []))
    asked = {tag for text in wanted for tag in text.split(",")}
    found = bool(tags & asked) if name.endswith("any") else asked <= tags
    return found != name.startswith("not-")


def sort(documents: list[Json], query: QueryParams) -> list[Json]:
    """Sort by `sort_key`/`sort_dir` (repeatable) when the caller asks for it."""
    keys = query.getlist("sort_key")
    directions = query.getlist("sort_dir")
    for pair in query.get("sort", "").split(","):
        if pair:
            key, _, direction = pair.partition(":")
            keys.append(key)
            directions.append(direction or "asc")
    directions += ["asc"] * (len(keys) - len(directions))
    for key, direction in reversed(list(zip(keys, directions, strict=False))):
        documents = sorted(documents, key=_by(key), reverse=direction == "desc")
    return documents


def _by(key: str) -> Callable[[Json], str]:
    return lambda document: str(document.get(key) or "")


def page(
    documents: Iterable[Json], query: QueryParams, url: str
) -> tuple[list[Json], list[dict[str, str]]]:
    """The page after `marker` of at most `limit`, and the `next` link when there is more."""
    rows = list(documents)
    marker = query.get("marker")
    if marker:
        ids = [row["id"] for row in rows]
        if marker not in ids:
            raise BadRequest(f"marker [{marker}] not found")
        rows = rows[ids.index(marker) + 1 :]
    limit = _limit(query)
    if limit is None or len(rows) <= limit:
        return rows, []
    rows = rows[:limit]
    if not rows:
        return rows, []
    others = [(name, value) for name, value in query.multi_items() if name != "marker"]
    following = urlencode([*others, ("marker", rows[-1]["id"])])
    return rows, [{"rel": "next", "href": f"{url}?{following}"}]


def _limit(query: QueryParams) -> int | None:
    text = query.get("limit")
    if text is None or text == "":
        return LIMIT_MOST
    try:
        limit = int(text)
    except ValueError as error:
        raise BadRequest("limit param must be an integer") from error
    if limit < 0:
        raise BadRequest("limit param must be positive")
    return min(limit, LIMIT_MOST) or None
