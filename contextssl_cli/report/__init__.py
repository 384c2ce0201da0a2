"""What users see: the terminal, figures, and report folders. The only package that imports rich and matplotlib."""
