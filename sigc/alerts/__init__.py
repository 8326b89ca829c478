"""The alerts: messages to an operator, the rules that raise them, the channels that carry them."""
