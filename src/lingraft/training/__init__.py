"""Learning one trial: batches, losses, the loop, and what is fitted before and after it."""
