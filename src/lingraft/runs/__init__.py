"""From one recipe to a finished run folder."""
