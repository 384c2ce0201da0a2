"""Everything that is printed or drawn; the only package that imports rich, matplotlib and jinja2."""
