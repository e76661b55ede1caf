"""From states, or from the characters of a text, to logits."""
