"""Fleets of fake guests: the guest agent's own core on simulated servers, disks and datastores."""
