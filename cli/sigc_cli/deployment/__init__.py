"""Files of `conf/`, filled in for one project."""
