"""The page on the flows is the one that their declarations give."""

from infra.package.flow_docs import page
from infra.package.sources import PROJECT_ROOT


def test_the_page_is_what_the_declarations_say() -> None:
    written = (PROJECT_ROOT / "docs" / "flows.md").read_text()
    assert written == page(), "python -m infra.package.flow_docs > docs/flows.md"
