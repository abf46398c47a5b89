"""F6: some records of a batch count as failed, although others of the same batch were handled."""

from __future__ import annotations

from simulator.faults.base import Fault


class PartialBatch(Fault):
    id = "F6"
    title = "partial batch"
    range = (0.0, 0.3)
    fair = True

    def install(self) -> None:
        self.on = True
        for mapping in self.world.region.mappings.values():
            mapping.doubt = self._doubt

    def heal(self) -> None:
        self.on = False
        for mapping in self.world.region.mappings.values():
            mapping.doubt = None

    def _doubt(self, queue: str, message_ids: list[str]) -> set[str]:
        """Which messages of a batch are delivered again although their handler was content."""
        if not self.hits():
            return set()
        failed = {each for each in message_ids if self.stream.random() < 0.5}
        if failed:
            self.inject(f"{len(failed)} of {len(message_ids)} records of {queue} fail")
        return failed
