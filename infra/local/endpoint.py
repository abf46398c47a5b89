"""An AWS that somebody else runs: whether it answers, and how Coffer leaves it."""

from typing import Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra import remove
from infra.errors import NotAnsweringError
from infra.local.progress import Progress
from infra.local.settings import SECRETS_PATH, STACK_NAME, StackSettings

ANSWER_SECONDS: Final = 5


def answers(settings: StackSettings) -> bool:
    """Whether something at the endpoint tells whose keys these are."""
    return _refusal(settings) is None


def require_answer(settings: StackSettings) -> None:
    """Raise NotAnsweringError, with what happened, unless an AWS answers at the endpoint."""
    if refusal := _refusal(settings):
        raise NotAnsweringError(
            f"No AWS answers at {settings.aws_endpoint}: {refusal}",
            "Start it first, or run coffer up without --endpoint for the embedded MiniStack.",
        )


def leave(settings: StackSettings, progress: Progress) -> bool:
    """Remove the stack from the endpoint; False when there was none.

    Raises NotAnsweringError when the endpoint is out of reach, so that nobody takes it for removed.
    """
    if refusal := _refusal(settings):
        raise NotAnsweringError(
            f"The local cloud is stopped, but {settings.aws_endpoint} does not answer, so Coffer "
            f"was not removed from it: {refusal}",
            "If that AWS is gone, so is Coffer there. Else: coffer up --endpoint …; coffer down",
        )
    with progress.step("Remove Coffer from the endpoint"):
        removed = remove.remove(settings.target, STACK_NAME, SECRETS_PATH, tables=True)
    return removed.found


def _refusal(settings: StackSettings) -> str | None:
    client = boto3.client(
        "sts",
        region_name=settings.target.region,
        endpoint_url=settings.aws_url,
        aws_access_key_id=settings.target.access_key_id,
        aws_secret_access_key=settings.target.secret_access_key,
        config=Config(
            connect_timeout=ANSWER_SECONDS,
            read_timeout=ANSWER_SECONDS,
            retries={"total_max_attempts": 1},
        ),
    )
    try:
        client.get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        return str(error)
    return None
