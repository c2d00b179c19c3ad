"""The reader: the program at the hub that decides, offline, whether a door opens."""
