"""What a run leaves for people to look at: files, plan, data, decision, signals."""
