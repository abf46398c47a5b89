"""The cloud's state and rules, without HTTP, threads or a real clock: any driver can run it."""
