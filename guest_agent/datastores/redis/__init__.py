"""Redis 7."""
