"""Small changes of the shipped code, and who notices them: the slow tier `make mutate`."""
