"""User data: a cloud-config that holds the agent's configuration, whatever is in it."""

from __future__ import annotations

import json

import yaml
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.user_data import CONFIGURATION_PATH, GuestConfiguration, for_guest

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(
    st.builds(
        GuestConfiguration,
        instance_id=text,
        generation=st.integers(1, 99),
        control_url=text,
        enrolment_token=text,
        datastore_manager=text,
        datastore_version=text,
        region=text,
        aws_endpoint_url=st.none() | text,
    )
)
def test_cloud_init_writes_the_configuration_as_it_was(configuration: GuestConfiguration) -> None:
    first, _, body = for_guest(configuration).partition("\n")
    assert first == "#cloud-config"
    document = json.loads(body)
    (written,) = document["write_files"]
    assert (written["path"], written["permissions"]) == (CONFIGURATION_PATH, "0600")
    assert json.loads(written["content"]) == {
        field: getattr(configuration, field) for field in configuration.__struct_fields__
    }


def test_a_parser_of_yaml_reads_the_same() -> None:
    made = for_guest(
        GuestConfiguration("i", 1, "http://x/api", "1.tok-en_=", "mariadb", "10.11", "r", None)
    )
    assert yaml.safe_load(made) == json.loads(made.partition("\n")[2])


def test_the_document_fits_into_the_user_data_of_nova() -> None:
    made = for_guest(
        GuestConfiguration("i" * 36, 1, "h" * 300, "t" * 1000, "mariadb", "10.11", "r" * 30, None)
    )
    assert len(made.encode()) < 65_535 * 3 // 4  # Nova's limit is on the base64 of it
