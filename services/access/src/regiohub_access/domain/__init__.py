"""The rules of access: pure functions over frozen values; time comes in as an argument."""
