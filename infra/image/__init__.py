"""The guest image: the agent in one bundle, and a disk that boots with it."""
