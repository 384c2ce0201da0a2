"""``contextssl plugins new``: a new plugin project from templates."""
