"""The message bus: the sealed envelope, its keys, the queues, commands and their answers."""
