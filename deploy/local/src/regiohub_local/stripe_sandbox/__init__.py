"""A small server that speaks the part of Stripe's API this project uses.

It keeps its own books (SQLite, durable at every answer), sends signed webhooks and serves a hosted payment page. What
it accepts is read from stripe-python's own parameter types, so it cannot drift from the SDK. No money moves.
"""
