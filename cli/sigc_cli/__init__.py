"""The command line: assembles the parts."""
