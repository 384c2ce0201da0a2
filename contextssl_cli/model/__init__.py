"""Encoder and contextual world model."""
