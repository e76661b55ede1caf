"""A trained run behind HTTP: what is asked at the same time is answered together; a page to try it is at ``/``."""
