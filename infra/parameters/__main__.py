"""`python -m infra.parameters [SERIES…]`: ask the engines, and write the rule files."""

from __future__ import annotations

import sys

from infra.parameters import rules

if __name__ == "__main__":
    offered = rules.read()
    for series in sys.argv[1:] or offered:
        rules.path(series).write_bytes(rules.text(rules.made(series, offered[series])))
        sys.stdout.write(f"{rules.path(series)}\n")
