"""Which of Cinder's zones a volume goes to."""

from __future__ import annotations

import pytest

from chalicelib import aws
from chalicelib.domain.zones import volume_zone
from chalicelib.settings import BadSetting, settings


@pytest.mark.parametrize(
    ("mapping", "zone", "chosen"),
    [
        ("", None, None),
        ("", "az1", None),
        ("*=*", "az1", "az1"),
        ("*=*", None, None),
        ("*=ceph", "az1", "ceph"),
        ("*=ceph", None, "ceph"),
        ("az1=ceph1,az2=ceph2", "az2", "ceph2"),
        ("az1=ceph1,az2=ceph2", "az3", None),
        ("az1=ceph1,az2=ceph2", None, None),
        ("az1=ceph1,*=*", "az3", "az3"),
        ("az1=*,*=ceph", "az1", "az1"),
    ],
)
def test_the_zone_of_a_volume(mapping: str, zone: str | None, chosen: str | None) -> None:
    assert volume_zone(mapping, zone) == chosen


@pytest.mark.parametrize("text", ["ceph", "az1=", "=ceph", "a=b=c", "a=b,", "a=b, c=d"])
def test_what_is_no_mapping_is_refused_by_its_name(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COFFER_VOLUME_ZONES", text)
    aws.forget("settings")
    with pytest.raises(BadSetting, match="COFFER_VOLUME_ZONES is"):
        settings()
    monkeypatch.undo()
    aws.forget("settings")
