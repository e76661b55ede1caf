"""Pseudo-data: texts made from other texts."""
