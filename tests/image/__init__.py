"""The guest image on a machine of its own: boots it and makes a database on a volume."""
