"""The files of `conf/`, filled in for one project."""
