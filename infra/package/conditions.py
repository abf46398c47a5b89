"""Which resources and values a CloudFormation template has under given parameters."""

from collections.abc import Mapping
from typing import Any

GONE: Any = {"Ref": "AWS::NoValue"}


class Chosen:
    """A template with its conditions decided by `given` parameters, else by their defaults."""

    def __init__(self, template: Mapping[str, Any], **given: str) -> None:
        declared = template["Parameters"]
        if unknown := set(given) - set(declared):
            raise ValueError(f"the template has no parameter {', '.join(sorted(unknown))}")
        self._template = template
        self._values = {
            name: str(given.get(name, each.get("Default", "a value")))
            for name, each in declared.items()
        }

    @property
    def resources(self) -> dict[str, Any]:
        """Those that exist, with every `Fn::If` decided."""
        return {
            name: self._decided(resource)
            for name, resource in self._template["Resources"].items()
            if "Condition" not in resource or self.holds(resource["Condition"])
        }

    def holds(self, name: str) -> bool:
        """Whether a condition of the template does."""
        return self._true(self._template["Conditions"][name])

    def _true(self, expression: Mapping[str, Any]) -> bool:
        ((function, argument),) = expression.items()
        match function:
            case "Condition":
                return self.holds(argument)
            case "Fn::Not":
                return not self._true(argument[0])
            case "Fn::And":
                return all(self._true(each) for each in argument)
            case "Fn::Equals":
                left, right = (self._text(each) for each in argument)
                return left == right
        raise ValueError(f"not decided here: {function}")

    def _text(self, value: Any) -> str:
        match value:
            case {"Ref": name}:
                return self._values[name]
            case {"Fn::Join": [separator, {"Ref": name}]}:
                return str(separator).join(self._values[name].split(","))
        return str(value)

    def _decided(self, value: Any) -> Any:
        if isinstance(value, list):
            items = [self._decided(each) for each in value]
            return [each for each in items if each != GONE]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Fn::If"}:
            condition, yes, no = value["Fn::If"]
            return self._decided(yes if self.holds(condition) else no)
        items_by_key = {key: self._decided(each) for key, each in value.items()}
        return {key: each for key, each in items_by_key.items() if each != GONE}
