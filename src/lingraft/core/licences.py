"""What licences ask to be said before a model is used, and where what was made of it is passed on."""

from __future__ import annotations

NOTICES = {
    "gemma": "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms",
    "apache-2.0": "its licence is the Apache License 2.0, www.apache.org/licenses/LICENSE-2.0",
}
"""By the name that the Hub has for a licence; Gemma's sentence is the one that its terms prescribe."""


def notice_of(licence: str) -> str:
    """Return the sentence that goes with a licence; an empty one where it asks for none."""
    return NOTICES.get(licence.lower(), "")
