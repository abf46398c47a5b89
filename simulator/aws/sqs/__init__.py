"""SQS in memory and virtual time: standard queues. FIFO queues are refused: Coffer has none."""
