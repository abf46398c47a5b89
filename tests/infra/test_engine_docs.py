"""The documentation's table of engines is what is declared of them."""

from __future__ import annotations

from infra.package.engine_docs import table
from infra.package.sources import PROJECT_ROOT


def test_the_table_is_what_is_declared() -> None:
    page = (PROJECT_ROOT / "docs/adding-a-datastore.md").read_text()
    assert table() in page, "python -m infra.package.engine_docs prints it"
