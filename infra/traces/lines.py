"""Where log lines are found: in the functions' log groups, and in the logs of local agents."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

PAGES: Final = 50
"""Of one group's answers, each of at most a megabyte: what lies beyond is not looked at."""
MOST_LINES: Final = 5000
FILE_BYTES: Final = 16 * 1024**2
"""The newest part of an agent's log that is read."""


class Line(NamedTuple):
    """One line of a log: where and when (in seconds) it was written, and what is in it."""

    where: str
    at: float
    fields: dict[str, Any]


class Found(NamedTuple):
    """What was found, and whether a bound was met before everything was looked at."""

    lines: list[Line]
    cut: bool


def in_groups(client: Any, groups: dict[str, str], text: str, since: float) -> Found:
    """The lines of log groups (name by where) that hold a text, since a time.

    FilterLogEvents looks at what it is asked for and costs nothing for what it finds; the same call
    answers on LocalStack and MiniStack. A group that is not there has no lines.
    """
    lines: list[Line] = []
    cut = False
    for where, group in groups.items():
        for page, answer in enumerate(_pages(client, group, text, since)):
            for event in answer.get("events", ()):
                line = _line(where, event["timestamp"] / 1000, event["message"], text)
                if line is not None:
                    lines.append(line)
            if page + 1 >= PAGES or len(lines) >= MOST_LINES:
                cut = cut or "nextToken" in answer
                break
    return Found(lines[:MOST_LINES], cut or len(lines) > MOST_LINES)


def _pages(client: Any, group: str, text: str, since: float) -> Iterator[dict[str, Any]]:
    asked = {"logGroupName": group, "startTime": int(since * 1000), "filterPattern": f'"{text}"'}
    try:
        while True:
            answer = client.filter_log_events(**asked)
            yield answer
            if "nextToken" not in answer:
                return
            asked["nextToken"] = answer["nextToken"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise


def in_files(files: Iterable[Path], where: str, text: str) -> Found:
    """The same of files of agents, which tell the time themselves."""
    lines: list[Line] = []
    cut = False
    for file in files:
        with file.open("rb") as opened:
            size = file.stat().st_size
            opened.seek(max(0, size - FILE_BYTES))
            cut = cut or size > FILE_BYTES
            for raw in opened:
                line = _line(where, None, raw.decode(errors="replace"), text)
                if line is not None and len(lines) < MOST_LINES:
                    lines.append(line)
    return Found(lines, cut or len(lines) == MOST_LINES)


def _line(where: str, at: float | None, message: str, text: str) -> Line | None:
    """A line of JSON that holds the text; None for any other."""
    begin = message.find("{")
    if text not in message or begin < 0:
        return None
    try:
        fields = json.loads(message[begin:])
        if at is None:
            at = datetime.fromisoformat(str(fields["time"])).timestamp()
    except (KeyError, ValueError):
        return None
    return Line(where, at, fields)
