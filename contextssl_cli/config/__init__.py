"""Every setting, with its default, and where its value comes from."""
