"""DynamoDB in memory: tables, expressions, transactions and the lag of what is read from an index."""
