"""From a store to batches of (x, action, y)."""
