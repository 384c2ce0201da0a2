"""Experiments: many runs behind one table, trained where they are missing."""
