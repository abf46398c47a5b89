"""What a deployment would make or change, without doing it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from infra import change_sets, deploy, packages_bucket
from infra.buckets import Bucket
from infra.deployment.run import is_deployed
from infra.deployment.survey import Survey
from infra.package.build import Build
from infra.package.template import Document


def lines(survey: Survey, package: Build) -> Iterator[str]:
    """One line for each kind of thing that is made, or each thing that changes."""
    wanted = survey.template_parameters()
    template: Document = json.loads(package.template.read_text())
    backups = survey.backups_bucket
    if not Bucket(survey.target, backups).is_there():  # one of the operator's own is, or it failed
        yield f"+   1 bucket of backups, which outlives the stack: {backups}"
    if survey.present is None or survey.present.status not in deploy.STANDING:
        yield from _of_a_new_stack(template)
    elif is_deployed(survey.present, package.digest, wanted):
        yield f"Nothing: release {package.digest} runs with these parameters."
    else:
        yield from _of_an_update(survey, package, template, wanted)


def _of_a_new_stack(template: Document) -> Iterator[str]:
    kinds = Counter(resource["Type"] for resource in template["Resources"].values())
    conditional = sum("Condition" in resource for resource in template["Resources"].values())
    for kind, number in sorted(kinds.items()):
        yield f"+ {number:>3} {kind}"
    yield f"  {conditional} of them only if a parameter asks for it, or only on AWS itself."


def _of_an_update(
    survey: Survey, package: Build, template: Document, wanted: dict[str, str]
) -> Iterator[str]:
    """A change set that is made, read and thrown away; its template lies in the bucket meanwhile.

    A template of this size can come from nowhere else.
    """
    target, stack = survey.target, survey.wanted.stack
    cloudformation = target.client("cloudformation")
    with packages_bucket.lent(target, stack, package) as (bucket, url):
        name = change_sets.create(
            cloudformation,
            stack,
            "UPDATE",
            url,
            deploy.arguments(template, wanted, bucket, package.digest, survey.present),
        )
        if name is None:
            yield "Nothing: CloudFormation finds no change."
            return
        try:
            for change in change_sets.changes(cloudformation, stack, name):
                sign = {"Add": "+", "Remove": "-"}.get(change.action, "~")
                anew = {"True": " (made anew)", "Conditional": " (perhaps made anew)"}
                yield f"{sign} {change.kind} {change.logical_id}{anew.get(change.replaced, '')}"
        finally:
            cloudformation.delete_change_set(StackName=stack, ChangeSetName=name)
    present = survey.present_parameters
    for key in sorted(template["Parameters"].keys() & wanted.keys()):
        if present.get(key) != wanted[key]:
            yield f"  {key}: {present.get(key, '(new)')!r} → {wanted[key]!r}"
