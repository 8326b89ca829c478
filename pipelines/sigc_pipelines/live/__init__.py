"""A run that trades: live, paper, dry and replayed alike."""
