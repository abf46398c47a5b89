"""The table of what each engine does, as `docs/adding-a-datastore.md` holds it.

`python -m infra.package.engine_docs` prints it.
"""

from __future__ import annotations

import sys

from chalicelib.bus.contract import METHODS
from chalicelib.engines import ENGINES


def table() -> str:
    """A row for each method of the contract, with its part; a column for each engine."""
    declared = {engine.name: engine for engine in ENGINES.values()}
    rows = [
        ["method", "part", *declared],
        ["---"] * (2 + len(declared)),
        *(
            [
                f"`{method.name}`",
                str(method.part),
                *("works" if each.can(method.part) else "501" for each in declared.values()),
            ]
            for method in METHODS.values()
        ),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n")
