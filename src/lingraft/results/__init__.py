"""From the files of a run to numbers, sentences and pages; no torch."""
