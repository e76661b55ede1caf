"""Checkpoints with another vocabulary: fewer pieces, or more; the pieces that stay are read as before, proven so."""
