"""The rule files of configuration parameters: what is offered, with what the real engines tell."""
