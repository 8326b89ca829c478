"""What a person looks at: reports, and the status page."""
