"""The page on the flows, from `chalicelib.domain.flows`:

    python -m infra.package.flow_docs > docs/flows.md

A test compares the two.
"""

import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum

from chalicelib.domain.flows import COMPLETE, FAIL, FLOWS, Flow, Step, Waits

_HEAD = """# The flows

Rendered from `chalicelib/domain/flows/`; a test compares the two:

    python -m infra.package.flow_docs > docs/flows.md

A step runs as a function that may call the cloud, or as one that may not. It looks and is called
again until it is done (polls), or ends with the answer of the guest (asks the guest). A bound is a
setting, counted from the step's first start; without one the operation's own bounds the step. What
fails, is cancelled or is late leads to the steps that take it back, in their order and all of them.
"""
_WAITS = {Waits.NO: "no wait", Waits.POLL: "polls", Waits.GUEST: "asks the guest"}


def page() -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *(_section(flow) for flow in FLOWS.values())])


def _section(flow: Flow) -> str:
    lines = [f"## {flow.title.capitalize()} (`{flow.action}`)", "", flow.comment, ""]
    lines += ["```mermaid", "flowchart LR", *_diagram(flow), "```", ""]
    lines += ["| step | runs | waits | bound |", "|---|---|---|---|"]
    lines += [_row(step) for step in flow.steps]
    lines += [_row(step, "takes back: ") for step in flow.undo]
    return "\n".join([*lines, "", *_facts(flow), ""])


def _diagram(flow: Flow) -> Iterator[str]:
    """The way forward, and the way back below it."""
    forward = [_node(step) for step in flow.steps]
    yield "    " + " --> ".join([*forward, _end(COMPLETE, flow.done)])
    back = " --> ".join(
        [*(_node(step) for step in flow.undo), _end(FAIL, flow.undone, flow.failed)]
    )
    for step in flow.steps:
        yield f"    {step.name} -. fails .-> {(flow.undo or (FAIL,))[0].name}"
    yield f"    {back}"


def _node(step: Step) -> str:
    left, right = ("[[", "]]") if step.waits is Waits.GUEST else ("[", "]")
    return f"{step.name}{left}{step.name.replace('_', ' ')}{right}"


def _end(step: Step, *statuses: StrEnum) -> str:
    return f"{step.name}([{' or '.join(dict.fromkeys(statuses))}])"


def _row(step: Step, prefix: str = "") -> str:
    bound = f"`{step.timeout}`" if step.timeout else ""
    return f"| {prefix}`{step.name}` | {step.runs} | {_WAITS[step.waits]} | {bound} |"


def _facts(flow: Flow) -> Iterator[str]:
    asked = _listed(flow.sources) if flow.sources else "no instance: it makes one"
    yield f"- Asked for in: {asked}. Shown while it runs: {flow.during}. Bound: `{flow.timeout}`."
    ends = f"- Ends in: {flow.done}"
    if flow.undo:
        ends += f"; taken back: {flow.undone}"
    yield f"{ends}; failed: {flow.failed}."
    if flow.queues:
        yield "- Accepted behind whatever is under way, which is called back."
    if not flow.revocable:
        yield "- Cannot be cancelled: it goes on to its end."
    if flow.no_return:
        yield f"- Cannot be cancelled once `{flow.no_return}` has begun."


def _listed(statuses: Iterable[StrEnum]) -> str:
    return ", ".join(sorted(statuses))


if __name__ == "__main__":
    sys.stdout.write(page())
