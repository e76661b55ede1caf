"""The same work on the nodes of a Ray cluster: trials of a comparison, predictions of large files."""
