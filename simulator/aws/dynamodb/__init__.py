"""DynamoDB in memory: tables, expressions, transactions and the lag of an index."""
