"""HTTP: routes, JSON shapes, who may call."""
