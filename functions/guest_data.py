"""What a new guest is given with its server: the user data, and in them the way to enrol."""

from __future__ import annotations

from chalicelib.conductor import enrolment
from chalicelib.domain import user_data
from chalicelib.settings import settings
from chalicelib.store.models import Instance


def user_data_of(instance: Instance, generation: int, expires_at: float) -> str:
    """The user data of a generation's server; its enrolment token is good until then."""
    return user_data.for_guest(
        user_data.GuestConfiguration(
            instance_id=instance.id,
            generation=generation,
            control_url=settings().control_url,
            enrolment_token=enrolment.new_token(instance.id, generation, expires_at),
            datastore_manager=instance.manager,
            # Its number: a version may have any name, and a guest goes by what its engine is of.
            datastore_version=instance.datastore_version_number,
            region=settings().region,
            aws_endpoint_url=settings().guest_endpoint_url or None,
        )
    )
