"""I11, broken on purpose, is told."""

from __future__ import annotations

import logging

from chalicelib.store.models import Operation
from simulator.invariants.marks import SECRET_MARK
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import operation, told_by


def logged(deployment: Deployment) -> None:
    logging.getLogger("chalicelib.bus").debug("the password is %s", f"{SECRET_MARK}1")


def master_key_in_a_reason(deployment: Deployment) -> None:
    answer = deployment.region.ssm.get_parameter(Name="/coffer/guest-keys", WithDecryption=True)
    key = answer["Parameter"]["Value"].partition('"1":"')[2][:44]
    operation(deployment).update(actions=[Operation.reason.set(f"key {key}")])


test_a_broken_promise_is_told = told_by("I11", logged, master_key_in_a_reason)
