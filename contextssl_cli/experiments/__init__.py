"""Sweeps, reproductions of the experiments of the paper, probes with their files, and the demo."""
