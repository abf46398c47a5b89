"""A real OpenStack on one machine, without Docker: the services from PyPI, the infrastructure from
Debian, and Coffer's acceptance tests on it (docs/real-openstack.md).

One module per service writes its configuration and starts its processes; `cloud.py` brings them up
in order. `inside/` is what OpenStack's own Python loads: the drivers behind which there is no
hypervisor, no storage and no switch.
"""
