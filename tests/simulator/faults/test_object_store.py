"""F18: an object store that refuses for a while, and takes writes whose replies are lost."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from simulator.effects import Effects
from simulator.faults.f18_object_store import ObjectStore
from simulator.kernel import START, Kernel
from simulator.services import Services
from simulator.template import BACKUPS_BUCKET

HOUR = 3600.0


def test_it_refuses_in_bursts_and_a_write_whose_reply_is_lost_is_there() -> None:
    kernel = Kernel(3)
    services = Services(Effects(kernel), network_id="net")
    for name in ("bucket", BACKUPS_BUCKET):
        services.s3.create_bucket(Bucket=name)
    said: list[str] = []
    outcomes: Counter[str] = Counter()
    world: Any = SimpleNamespace(
        kernel=kernel,
        region=services,
        inject=lambda _, text="refused", instance_id=None: said.append(text),
        note=lambda _, text: said.append(text),
        lane=lambda *_: None,
    )
    workload: Any = None
    fault = ObjectStore(world, workload, 0.3)
    fault.install()

    def work() -> None:
        client = services.clients["s3"]
        number = 0
        while kernel.now < START + HOUR:
            number += 1
            for name in ("put_object", "get_object"):
                try:
                    getattr(client, name)(Bucket="bucket", Key=str(number))
                    outcomes[name] += 1
                except ClientError as error:
                    outcomes[error.response["Error"]["Code"]] += 1
            kernel.sleep(1.0)

    kernel.spawn(work, "somebody")
    kernel.run(START + HOUR)
    assert outcomes["SlowDown"] > 0, "botocore's four attempts do not outlast a burst"
    assert outcomes["put_object"] > 10 * outcomes["NoSuchKey"]
    assert any(text.startswith("the object store refuses for") for text in said)
    lost = [text for text in said if text.endswith("the reply is lost")]
    assert lost
    assert all("PutObject" in text for text in lost), "what was read is read again, or not"
    fault.heal()
    assert services.effects.hooks == []
