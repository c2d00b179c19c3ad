"""The order of steps: load, decide, save, emit."""
