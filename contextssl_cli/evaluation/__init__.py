"""The paper's protocols: what an embedding knows under each context, read by named probes."""
