"""A recipe: YAML in, validated settings out, and how pieces of it are laid over each other; no torch."""
