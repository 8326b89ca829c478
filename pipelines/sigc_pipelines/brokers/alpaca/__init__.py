"""Alpaca over REST: `client.py` the requests and their failures, `answers.py` its JSON as our records, `broker.py` the
protocol, `listing.py` long lists, `reports.py` fills and charges, `opening.py` from the settings.
"""
