"""A twin of Alpaca's trading API: `book.py` an account and its rules, `server.py` the API over real sockets."""
