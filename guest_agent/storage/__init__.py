"""The volume of an instance: a block device on a server, a directory on the local hypervisor."""
