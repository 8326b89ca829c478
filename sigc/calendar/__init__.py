"""The trading calendars: sessions of exchanges, with a configuration's changes."""
