"""Using a trained run: contexts in, embeddings out. No parameter changes here."""
