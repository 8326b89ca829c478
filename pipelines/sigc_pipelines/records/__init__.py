"""Records of runs for people to read: files, plan, data, decision, signals."""
