"""OpenStack's own acceptance tests for Trove, unmodified, on a running stack, of the
local cloud or of the real OpenStack that `COFFER_OPENSTACK` names.

Of the plug-in's classes those run whose subject is built; which do not, and why, stands in
`NOT_BUILT` and `DIFFERENT`: a test of the plug-in that is in no list fails here.
"""

from __future__ import annotations

import configparser
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.operating import offer
from tests.acceptance.stack import Stack
from tests.support.installed import installed

REQUIREMENTS: Final = "acceptance/tempest-requirements.txt"
SCENARIO: Final = "trove_tempest_plugin.tests.scenario"
WITHIN_SECONDS: Final = 1800
BUILD_SECONDS: Final = 600
VERSION: Final = "tempest"
"""A datastore's version that names the engine as the engine names itself: it compares the two."""
DATASTORES: Final = {"MySQL": "mysql", "MariaDB": "mariadb", "PostgreSQL": "postgresql"}
"""By what its classes call them."""
TESTS: Final = (
    "test_backup.TestBackup{}.test_backup_full",
    "test_backup.TestBackup{}.test_backup_incremental",
    "test_cinder_backup.TestCinderBackup{}.test_backup_cinder",
    "test_instance_actions.TestInstanceActions{}.test_rebuild",
    "test_instance_actions.TestInstanceActions{}.test_resize",
    "test_instance_basic.TestInstanceBasic{}.test_configuration",
    "test_instance_basic.TestInstanceBasic{}.test_database_access",
    "test_instance_basic.TestInstanceBasic{}.test_root_disable",
    "test_instance_basic.TestInstanceBasic{}.test_user_database",
    "test_instance_update_access.TestInstanceUpdateAccess{}.test_instance_update_access",
)
MISSPELT: Final = ("TestCinderBackupMySQL", "TestCinderBakcupMySQL")
"""The name that one would look for, and its class's."""
BUILT: Final = tuple(test.format(each).replace(*MISSPELT) for test in TESTS for each in DATASTORES)
NOT_BUILT: Final = {
    "test_instance_ssl": "certificates",
    "test_replication": "replicas",
}
"""What a test's name holds, and what it needs."""
NO_INNODB_VERSION: Final = (
    "after the upgrade it asks the engine for innodb_version, which MariaDB has had no more since "
    "10.10: on no cloud does it pass with the versions that Trove 26 has"
)
DIFFERENT: Final = {
    "TestInstanceActionsMariaDB.test_instance_upgrade": NO_INNODB_VERSION,
    "TestInstanceActionsMySQL.test_instance_upgrade": f"{NO_INNODB_VERSION}; `mysql` is MariaDB's",
    "TestInstanceActionsPostgreSQL.test_instance_upgrade": "it makes a second instance, and logs "
    "in there with the password that root was given on the first one: it passes on no cloud",
}
"""What is built, and can't pass for a reason that is not in the API."""


@pytest.fixture(scope="module")
def workspace(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of tempest with the configuration for this stack."""
    for datastore in ("mariadb", "mysql"):
        offer(stack, VERSION, datastore=datastore)
    offer(stack, VERSION, "15", "postgresql")
    folder = tmp_path_factory.mktemp("tempest")
    registry = ("--workspace-path", str(folder / "workspaces.yaml"))
    _tempest("init", "--name", "coffer", *registry, str(folder / "coffer"))
    _configure(stack, folder / "coffer" / "etc" / "tempest.conf")
    return folder


def test_every_test_of_the_plug_in_is_known_here(workspace: Path) -> None:
    listed = _run(workspace, "--list-tests", "--regex", SCENARIO)
    names = [_short(line) for line in listed.splitlines() if line.startswith(SCENARIO)]
    assert names
    left = (*NOT_BUILT, *DIFFERENT)
    unknown = [
        name for name in names if name not in BUILT and not any(part in name for part in left)
    ]
    assert unknown == []
    assert set(BUILT) <= set(names)


@pytest.mark.timeout(WITHIN_SECONDS)
@pytest.mark.parametrize("name", sorted({name.rpartition(".")[0] for name in BUILT}))
def test_every_test_of_what_is_built_passes(workspace: Path, name: str) -> None:
    wanted = [each.rpartition(".")[2] for each in BUILT if each.startswith(name)]
    regex = rf"{SCENARIO}.{name}.({'|'.join(wanted)})\["
    told = _run(workspace, "--serial", "--regex", regex.replace(".", r"\."))
    assert f" - Passed: {len(wanted)}\n" in told, told
    assert " - Failed: 0\n" in told, told
    assert " - Skipped: 0\n" in told, told


def _configure(stack: Stack, file: Path) -> None:
    admin = stack.user("admin")
    datastore = {
        "enabled_datastores": ",".join(DATASTORES.values()),
        "default_datastore_versions": ",".join(f"{each}:{VERSION}" for each in DATASTORES.values()),
    }
    services = ("cinder", "glance", "neutron", "nova", "swift", "horizon")
    sections: dict[str, dict[str, Any]] = {
        "auth": {
            "use_dynamic_credentials": True,
            "create_isolated_networks": False,
            "admin_username": admin.name,
            "admin_password": admin.password,
            "admin_project_name": admin.project,
            "admin_domain_name": "Default",
            "tempest_roles": "member",
        },
        "identity": {
            "uri_v3": admin.auth_url,
            "auth_version": "v3",
            "region": "RegionOne",
            "v3_endpoint_type": "public",
        },
        "service_available": {"trove": True, **dict.fromkeys(services, False)},
        "database": {
            **datastore,
            "flavor_id": "1",
            "resize_flavor_id": "4",
            "shared_network": stack.network_id(),
            "volume_type": "standard",
            "database_build_timeout": BUILD_SECONDS,
            "rebuild_image_id": stack.image_id(),
            "remove_swift_account": False,
        },
    }
    parser = configparser.RawConfigParser()
    parser.read_dict(sections)
    with file.open("w") as stream:
        parser.write(stream)


def _short(line: str) -> str:
    """A test's name without the package, and without the tags in brackets."""
    return line.removeprefix(f"{SCENARIO}.").partition("[")[0].strip()


def _run(workspace: Path, *arguments: str) -> str:
    registry = ("--workspace-path", str(workspace / "workspaces.yaml"))
    return _tempest("run", "--workspace", "coffer", *registry, *arguments)


def _tempest(*arguments: str) -> str:
    """Run it to its end; what it said. Its exit code is left to whoever reads what it said."""
    done = subprocess.run(
        [str(installed("tempest", REQUIREMENTS) / "bin" / "tempest"), *arguments],
        capture_output=True,
        text=True,
        timeout=WITHIN_SECONDS,
        check=False,
    )
    return done.stdout + done.stderr
