"""The page's server: routes, who may come in, who is logged in, what a person can do."""
