"""Results and states as people read them: tables, plain data, views of reports."""
