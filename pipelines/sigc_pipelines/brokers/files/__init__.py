"""A broker of folders: orders leave as files in an outbox, an order management system answers by files in an inbox."""
