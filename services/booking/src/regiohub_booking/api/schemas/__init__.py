"""The JSON shapes of booking's API. Requests, responses and tables are three different things."""
