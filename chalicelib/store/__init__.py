"""The state: PynamoDB models and the named transactions on them."""
