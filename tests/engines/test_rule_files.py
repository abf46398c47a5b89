"""Every parameter of the rule files is the real engine's, with its type and within its bounds."""

from __future__ import annotations

import pytest

from chalicelib.engines.parameter import Kind, Parameter
from infra.parameters import rules
from tests.support import mysql
from tests.support.postgresql import MAJOR

pytestmark = pytest.mark.database
OFFERED = rules.read()
ELSEWHERE = {
    *(f"postgresql-{major}" for major in ("15", "16", "18") if major != MAJOR),
    *([] if mysql.IS_HERE else [f"mysql-{mysql.VERSION}"]),
}
"""`make test-postgresql` and `make test-mysql` ask those."""
HERE = sorted(OFFERED.keys() - ELSEWHERE)


@pytest.mark.parametrize("series", HERE)
def test_a_rule_file_says_what_the_engine_says_of_itself(series: str) -> None:
    """Its own file may have been made of another minor version: bounds may have grown since."""
    kept = rules.decoded(rules.path(series).read_bytes())
    told = {each.name: each for each in rules.told(series, OFFERED[series])}
    assert [each.name for each in kept] == list(OFFERED[series]) == list(told)
    for rule in kept:
        of_engine = told[rule.name]
        assert rule.kind is of_engine.kind, rule.name
        assert rule.default == of_engine.default, rule.name
        assert rule.restart_required >= of_engine.restart_required, rule.name
        assert rule.stands_for == of_engine.stands_for, rule.name
        assert set(rule.allowed) <= set(of_engine.allowed) or not of_engine.allowed, rule.name
        if not series.startswith("redis"):  # it tells neither
            assert rule.kind is Kind.STRING or _within(rule, of_engine), rule.name
            assert rule.restart_required is of_engine.restart_required, rule.name


def _within(rule: Parameter, engine: Parameter) -> bool:
    bounds = (engine.min, rule.min, rule.max, engine.max)
    if rule.kind is Kind.BOOLEAN:
        return bounds == (None,) * 4
    numbers = [each for each in bounds if each is not None]
    return len(numbers) == len(bounds) and numbers == sorted(numbers) and rule.step == engine.step
