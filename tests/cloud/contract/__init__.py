"""What this project relies on in an OpenStack, asked of the local cloud and of a real one alike.

    python -m pytest tests/cloud/contract                          the local cloud, in `make test`
    COFFER_CONTRACT_CLOUD=NAME python -m pytest -n 0 tests/cloud/contract
                                                 the cloud NAME of clouds.yaml, an administrator's
    COFFER_CONTRACT_CLOUD=envvars OS_AUTH_URL=… python -m pytest -n 0 tests/cloud/contract
                                                 the one that OS_* name, an administrator's too
    python -m tests.openstack python -m pytest -n 0 tests/cloud/contract
                                                 the one of `make test-openstack`

The suite makes projects and users of its own (names that begin with `contract-`) and removes them,
with all that is in them, at its end. It takes the smallest flavor and an active public image;
`COFFER_CONTRACT_IMAGE` and `COFFER_CONTRACT_FLAVOR` name others. Servers need not boot anything:
nobody talks to them. What a fake hypervisor and a fake volume driver do is enough.

What is asked is asked by the functions of `chalicelib.cloud`, as a user with the roles {member,
service} on a project of its own, wherever this project asks it; what tenants and administrators do
beside it, by openstacksdk.
"""
