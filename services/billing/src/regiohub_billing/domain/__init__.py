"""The rules of billing: pure values and functions. Time and money come in as arguments."""
