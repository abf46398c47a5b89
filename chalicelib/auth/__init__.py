"""Who calls, and what they may do: Keystone tokens, and Trove's policy."""
