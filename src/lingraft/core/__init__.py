"""Records, errors, registries, files, progress: what everything else stands on; no torch."""
