"""Pretraining: configuration, losses, loop, checkpoints."""
