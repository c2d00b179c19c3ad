"""`make chaos`: bookings from many members while everything under them breaks; at rest every promise is checked.

`faults` plans from a seed what breaks when; `breaking` does it; `links` are the wires that it cuts; `members` book and
keep their own log, the oracle; `seen` reads what is there at rest; `checks` compares both; `report` prints.
"""
