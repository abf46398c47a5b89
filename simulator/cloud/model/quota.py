"""Quota limits per project: defaults of a service, and what an admin set for one project."""

from __future__ import annotations

from simulator.cloud.model.errors import BadRequest


class Quotas:
    """Limits by project and resource; -1 is without limit."""

    def __init__(self, defaults: dict[str, int]) -> None:
        self._defaults = dict(defaults)
        self._set: dict[str, dict[str, int]] = {}

    def limits(self, project_id: str) -> dict[str, int]:
        """Every limit of the project."""
        return {**self._defaults, **self._set.get(project_id, {})}

    def update(self, project_id: str, values: dict[str, object]) -> dict[str, int]:
        """Set some limits; resources that this cloud does not count are ignored."""
        chosen = self._set.setdefault(project_id, {})
        for name, value in values.items():
            if name not in self._defaults:
                continue
            try:
                chosen[name] = int(str(value))
            except ValueError as error:
                raise BadRequest(f"Invalid input for field/attribute {name}.") from error
        return self.limits(project_id)

    def reset(self, project_id: str) -> None:
        """Back to the defaults."""
        self._set.pop(project_id, None)

    def exceeded(self, project_id: str, used: dict[str, int], more: dict[str, int]) -> str | None:
        """The first resource of which `more` on top of `used` does not fit, or None."""
        limits = self.limits(project_id)
        for name, amount in more.items():
            limit = limits.get(name, -1)
            if limit >= 0 and used.get(name, 0) + amount > limit:
                return name
        return None
