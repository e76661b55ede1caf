"""Pages for people: the report of a run, its model card, and Markdown for documentation."""
