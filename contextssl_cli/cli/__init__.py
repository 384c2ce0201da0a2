"""The command line. Bodies are short: the work is done by the layers below, imported when a command runs."""
