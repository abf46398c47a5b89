"""The task manager: the steps of the flows, one module per flow."""
