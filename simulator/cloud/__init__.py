"""A small OpenStack: an in-memory model, thin HTTP routes over it, a hypervisor of processes."""
