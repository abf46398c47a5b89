"""Everything around the running system: state machines, template, policies, local stack and CLI."""
