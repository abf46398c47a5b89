"""The simulator: stand-ins for the cloud and, later, for AWS, on which Coffer is run and broken."""
