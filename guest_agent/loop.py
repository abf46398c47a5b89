"""The loop on one screen: ticks on this thread, pulses and the watch beside them, every sentence
into the log."""

from __future__ import annotations

import logging
import os
from typing import Final

from chalicelib import aws
from guest_agent.agent import NOTHING_TO_DO, Agent
from guest_agent.errors import where
from guest_agent.manager import Manager

PULSE_SECONDS: Final = 1.0
RESTART_CODE: Final = 75
"""Of a process that is to be started again, and at once."""
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


def watch(manager: Manager) -> None:
    """Look at what cannot wait for a pulse, which may wait for a network; as long as this lives."""
    while True:
        try:
            seconds = manager.watch()
        except Exception as error:  # noqa: BLE001 - nobody else looks
            _log.error("The watch failed: %s", where(error))
            seconds = PULSE_SECONDS
        aws.sleep(seconds)


def _pulse(agent: Agent) -> None:
    while agent.retired is None:
        try:
            for sentence in agent.pulse():
                _log.info(sentence)
            if agent.leaving is not None:
                _leave(agent)
        except Exception as error:  # noqa: BLE001 - without a pulse the guest would look dead
            _log.error("The pulse failed: %s", where(error))
        aws.wait(agent.woken, PULSE_SECONDS)
        agent.woken.clear()


def _leave(agent: Agent) -> None:
    """End this process, though the loop waits for a message: whatever it gets is left to others."""
    _log.info("This process ends: %s", agent.leaving)
    agent.hand_back()
    os._exit(RESTART_CODE)
