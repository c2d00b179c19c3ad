"""`make bench`: how fast the house is on this machine, as ratios of what its PostgreSQL can do, in one run.

Everything is measured in a house of its own, with fsync, tokens of the real Keycloak and logs on.
"""
