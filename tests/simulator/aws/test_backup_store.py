"""The guest's own client of S3 against a server that speaks S3: a backup, there and back."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import msgspec
import pytest

from chalicelib import aws
from chalicelib.bus.contract.arguments import StoredBackup
from chalicelib.bus.contract.manifest import key_of
from guest_agent.backups.calls import HttpSend
from guest_agent.backups.reader import Reader
from guest_agent.backups.s3 import S3Store
from guest_agent.backups.store import StoreFailed
from guest_agent.backups.writer import Writer
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Credentials
from tests.guest_agent.backups.objects import BUCKET, ONE, Lender, Objects

LOCATION = f"tenant/chain/{ONE}"


def test_a_backup_goes_to_a_server_and_comes_back(ministack: dict[str, Any]) -> None:
    client = boto3.client("s3", **ministack)
    client.create_bucket(Bucket=BUCKET)
    expires = datetime.now(UTC) + timedelta(hours=1)
    access, secret = ministack["aws_access_key_id"], ministack["aws_secret_access_key"]
    lent = msgspec.structs.replace(
        Lender(Objects()).ask(),
        endpoint=ministack["endpoint_url"],
        credentials=Credentials(access, secret, "token", expires),
    )
    store = S3Store(lambda: lent, ServiceClock(), aws.event(), HttpSend())
    data = [hashlib.sha512(b"%d" % each).digest() * 5000 for each in range(20)]
    made = Writer(store, ONE, LOCATION, lambda _: None)
    made.write(data)
    told = made.finish(engine_version="10.11")
    listed = client.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert sum(each["Size"] for each in listed if "/manifest." not in each["Key"]) == told.size
    backup = StoredBackup(ONE, LOCATION, told.checksum)
    assert b"".join(Reader(store, backup, lambda _: None).chunks()) == b"".join(data)
    with pytest.raises(StoreFailed, match="404 NoSuchKey"):
        store.get("tenant/none", 10)
    with pytest.raises(StoreFailed, match="more than 3 bytes"):
        store.get(key_of(LOCATION, told.checksum), 3)
    client.close()
