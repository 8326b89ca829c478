"""`sigc watch`: a look at a daemon from elsewhere."""
