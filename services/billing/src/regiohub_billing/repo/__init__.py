"""Every query, named for the question it answers."""
