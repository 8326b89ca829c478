"""The messages of the verbs: requests and replies as they go over the wire."""
