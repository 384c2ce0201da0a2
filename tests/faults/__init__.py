"""Faults on purpose: kills, damaged files and odd command lines, all seeded, and what a command owes its user then.

``python -m tests.faults`` runs many cases; ``--only mutation:store:00012`` runs one of them again.
"""
