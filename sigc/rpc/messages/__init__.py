"""What goes over the wire: requests and replies of the verbs."""
