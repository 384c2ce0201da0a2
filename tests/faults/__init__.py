"""Faults on purpose, and what every command owes the user then."""
