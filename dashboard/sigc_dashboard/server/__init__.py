"""Server of the page: routes, admission, logins, controls."""
