"""The loop on one screen: ticks on this thread, pulses beside them, every sentence into the log."""

from __future__ import annotations

import logging
from typing import Final

from chalicelib import aws
from guest_agent.agent import NOTHING_TO_DO, Agent
from guest_agent.errors import where

PULSE_SECONDS: Final = 1.0
RETIRED_SECONDS: Final = 60.0  # before a supervisor may start the agent again for the same answer
_log = logging.getLogger(__name__)


def run(agent: Agent) -> None:
    """Serve until this guest is retired."""
    _log.info(agent.begin())
    if agent.retired is None:
        aws.spawn(lambda: _pulse(agent), name="pulse")
    while agent.retired is None:
        sentence = agent.tick()
        _log.log(logging.DEBUG if sentence == NOTHING_TO_DO else logging.INFO, sentence)
    _log.warning("No more commands are taken: %s", agent.retired)
    aws.sleep(RETIRED_SECONDS)


def _pulse(agent: Agent) -> None:
    while agent.retired is None:
        try:
            for sentence in agent.pulse():
                _log.info(sentence)
        except Exception as error:  # noqa: BLE001 - without a pulse the guest would look dead
            _log.error("The pulse failed: %s", where(error))
        aws.wait(agent.woken, PULSE_SECONDS)
        agent.woken.clear()
