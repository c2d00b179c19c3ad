"""What access does, step by step: load, decide, save, emit."""
