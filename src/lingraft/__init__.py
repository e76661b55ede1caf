"""Graft a task and a language onto a frozen multilingual language model with very little data."""

__version__ = "0.1.0"
