"""The packages: what is in them, how big they are, and that the same sources are built once."""

import zipfile
from pathlib import Path

import pytest

from infra.local.settings import cache_folder
from infra.package.build import Build, build
from infra.package.sources import PROJECT_ROOT, digest_of

MOST_BYTES = 15 * 1000 * 1000


@pytest.fixture(scope="module")
def built() -> Build:
    return build(PROJECT_ROOT, cache_folder())


def names(package: Path) -> set[str]:
    with zipfile.ZipFile(package) as opened:
        return set(opened.namelist())


def test_a_package_is_small_and_without_what_the_runtime_has(built: Build) -> None:
    for package in (built.chalice_zip, built.functions_zip):
        assert package.stat().st_size < MOST_BYTES
        folders = {name.partition("/")[0] for name in names(package)}
        assert not folders & {"boto3", "botocore", "s3transfer", "setuptools", "tests"}
        assert {"chalicelib", "pynamodb", "cryptography", "msgspec"} <= folders


def test_openstacksdk_is_in_the_task_managers_package_only(built: Build) -> None:
    assert "openstack/__init__.py" in names(built.functions_zip)
    assert "functions/handler.py" in names(built.functions_zip)
    assert "openstack/__init__.py" not in names(built.chalice_zip)
    assert "app.py" in names(built.chalice_zip)


def test_byte_code_lies_beside_every_source(built: Build) -> None:
    for package in (built.chalice_zip, built.functions_zip):
        present = names(package)
        assert "chalicelib/__pycache__/aws.cpython-311.pyc" in present
        assert "cryptography/__pycache__/__init__.cpython-311.pyc" in present


def test_the_same_sources_are_built_once(built: Build) -> None:
    before = built.template.stat().st_mtime_ns
    assert build(PROJECT_ROOT, cache_folder()) == built
    assert built.template.stat().st_mtime_ns == before


def test_a_digest_changes_with_a_name_and_with_a_content(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    file = tmp_path / "code" / "a.py"
    file.write_text("a = 1\n")
    first = digest_of(tmp_path, ("code",))
    assert digest_of(tmp_path, ("code",)) == first
    (tmp_path / "code" / "__pycache__").mkdir()
    (tmp_path / "code" / "__pycache__" / "a.pyc").write_text("")
    assert digest_of(tmp_path, ("code",)) == first
    file.write_text("a = 2\n")
    second = digest_of(tmp_path, ("code",))
    file.rename(tmp_path / "code" / "b.py")
    assert len({first, second, digest_of(tmp_path, ("code",)), digest_of(tmp_path, (), "x")}) == 4
