"""The AWS services that Coffer uses, in memory and in virtual time, as boto3 clients show them."""
