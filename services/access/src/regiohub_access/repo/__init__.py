"""The SQL of access, one module per noun, and who may see which row (``visible_to``)."""
