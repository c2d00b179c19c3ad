"""The strict side of the gateway: login, sessions, limits and the proxy. Knows no page."""
