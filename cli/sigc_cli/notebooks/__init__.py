"""sigc in a notebook."""
