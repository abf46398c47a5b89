"""The local stack: MiniStack, the local cloud and Coffer on them, under one state folder."""
