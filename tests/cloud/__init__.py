"""Tests of the local cloud: its model in virtual time, and a served one through openstacksdk."""
