"""Trading calendars: sessions of exchanges, and what a configuration changes in them."""
