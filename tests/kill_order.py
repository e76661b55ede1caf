"""What tells a part of tests/killing_parts.py to kill its process."""

ORDER = "kill"
"""The file in the folder that a part looks into."""
