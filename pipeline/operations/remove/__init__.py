"""`glotmill remove`: documents taken out of a finished output, as their owners or the law ask for."""
