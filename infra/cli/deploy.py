"""`coffer deploy`: Coffer in an AWS account (or on an emulator), for a cloud."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape

from chalicelib.parameters import Credential
from infra.cli import deployments, options
from infra.cli.console import ConsoleProgress, out
from infra.deployment import checks, front, run, service_users
from infra.deployment import plan as plans
from infra.deployment.checks import Finding
from infra.deployment.survey import Survey, Wanted
from infra.errors import DeployError, UnusableInputError
from infra.local.settings import cache_folder
from infra.package.build import build
from infra.package.sources import PROJECT_ROOT

SIGNS: Final = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failure": "[red]✗[/]"}


def command(
    plan: Annotated[
        bool, typer.Option("--plan", help="Show the checks and what would change; change nothing.")
    ] = False,
    rollback: Annotated[
        bool,
        typer.Option("--rollback", help="Go back to the release before; parameters stay."),
    ] = False,
    stack: options.Stack = "coffer",
    profile: options.Profile = None,
    region: options.Region = None,
    os_cloud: options.OsCloud = None,
    network: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Network of instances that name none, by name or id."),
    ] = None,
    public_endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Root of the API for clients, e.g. https://database.example.org: a domain name "
            "of the API's own. On an emulator a proxy of this machine stands in for it.",
        ),
    ] = None,
    front_port: options.FrontPort = None,
    service_project: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Project of the servers and volumes (as before, else service)."
        ),
    ] = None,
    service_user: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="An existing user for the functions, with the roles member and service on that "
            "project. Its password is asked for, or read from --service-password-file.",
        ),
    ] = None,
    service_password_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Holds the password of --service-user; - is stdin."),
    ] = None,
    replace_catalog_entry: Annotated[
        bool,
        typer.Option(
            "--replace-catalog-entry",
            help="Lead the catalog's entry of type database here, wherever it leads now.",
        ),
    ] = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="CHECK", help="Go on though this check fails. Repeatable."),
    ] = None,
    parameter: options.Parameters = None,
) -> None:
    """Check the account and the cloud; then package and deploy Coffer, and make it known.

    AWS is the one of the environment or of --profile; AWS_ENDPOINT_URL makes it LocalStack or
    MiniStack. The cloud is the one of the OS_* variables, or of --os-cloud in clouds.yaml.

    An administrator of the cloud has users made for the functions and the catalog entry
    registered. Anybody else comes as the functions' user itself (its password, or an application
    credential, goes into an encrypted parameter), and gets the commands for an administrator.

    Nothing is changed when a check fails, and all failures are told. A second run changes nothing;
    with newer sources or other parameters it updates what is there, and what runs goes on.
    --rollback deploys the release before again.
    """
    ignored = _known(ignore or [])
    wanted = Wanted(
        stack=stack,
        parameters=options.parsed(parameter) or {},
        network=network,
        public_endpoint=public_endpoint,
        front_port=front_port,
        service_project=service_project,
        credentials={} if rollback else _given(service_user, service_password_file),
        replace_entry=replace_catalog_entry,
    )
    survey = deployments.survey(stack, profile, region, os_cloud, wanted)
    progress = ConsoleProgress()
    if rollback:
        more = service_user or service_password_file or ignored
        _require_nothing_else(wanted, plan=plan, more=bool(more))
        _roll_back(survey, progress)
        return
    show(checks.findings(survey, ignored), "--ignore NAME goes on without.")
    package = build(PROJECT_ROOT, cache_folder())
    if plan:
        out.print("\nWhat would be made (+), changed (~) and removed (-):")
        for line in plans.lines(survey, package):
            out.print(line, markup=False)
        return
    done = run.apply(
        survey, package, progress, ready=lambda outputs: front.lead(survey, outputs["Endpoint"])
    )
    if not done.changed:
        out.print("[green]✓[/] Everything is deployed already; nothing was changed.")
    out.print(f"\nTrove API   {escape(done.endpoint)}/v1.0")
    if done.domain_target:
        out.print(f"Its name has to be a CNAME of {escape(done.domain_target)}")
    for line in _commands(done.commands):
        out.print(line, markup=False)


def _require_nothing_else(wanted: Wanted, *, plan: bool, more: bool) -> None:
    """A rollback keeps all parameters, and shows nothing first: who asks for more is told so."""
    if plan:
        raise UnusableInputError(
            "--rollback shows no plan: with --plan nothing is to be changed.",
            f"`coffer status --stack {wanted.stack}` names the release that it goes back to.",
        )
    if more or wanted != Wanted(stack=wanted.stack):
        raise UnusableInputError(
            "--rollback takes no other choice: the release before gets the parameters as they are.",
            "Roll back first, then choose with the sources of that release.",
        )


def _roll_back(survey: Survey, progress: ConsoleProgress) -> None:
    show(checks.findings(survey, only=checks.OF_A_ROLLBACK))
    digest = run.roll_back(survey, progress)
    out.print(f"[green]✓[/] Release {digest} runs again. A second --rollback undoes this one.")


def show(findings: Iterable[Finding], way_out: str = "") -> None:
    """Print each finding; raises DeployError at the end when one is a failure."""
    failures = 0
    for each in findings:
        sign = SIGNS.get(each.verdict, "[dim]-[/]")
        out.print(f"{sign} {each.check:<18} {escape(each.said)}")
        if each.advice:
            out.print(f"  {'':<18} [dim]{escape(each.advice)}[/]")
        failures += each.verdict == "failure"
    if failures:
        raise DeployError(
            f"{failures} check{'s' if failures > 1 else ''} failed; nothing was changed.",
            f"Do what stands beside each, then run it again. {way_out}".rstrip(),
        )


def _known(ignored: list[str]) -> frozenset[str]:
    if unknown := [name for name in ignored if name not in checks.NAMES]:
        raise UnusableInputError(
            f"There is no check {unknown[0]}.", f"The checks: {', '.join(checks.NAMES)}"
        )
    return frozenset(ignored)


def _given(user: str | None, file: Path | None) -> dict[str, Credential]:
    """The credential that is given for both groups of functions, if one is."""
    if user is None:
        if file is not None:
            raise UnusableInputError("--service-password-file goes with --service-user.")
        return {}
    password = options.ask(f"Password of {user}") if file is None else options.secret_of(file)
    return dict.fromkeys(service_users.ROLES, Credential(user, password))


def _commands(commands: list[str]) -> list[str]:
    if not commands:
        return []
    return ["", "Clients don't find it yet. An administrator of the cloud runs:", *commands]
