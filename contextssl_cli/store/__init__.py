"""Files: data-set stores, contexts and embeddings, all HDF5. The formats are described in ``docs/formats.md``."""
