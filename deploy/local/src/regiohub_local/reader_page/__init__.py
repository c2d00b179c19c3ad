"""A page that stands in for the hardware at a hub's doors: a camera or a picture for the QR, keys for the PIN.

It decides nothing: it hands what was shown to the reader on this machine and shows door, decision and reason.
"""
