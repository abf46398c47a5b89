"""The workload on real queues, in real time: fake guests poll SQS at an endpoint."""
