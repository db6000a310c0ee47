"""From the user's YAML text to checked jobs, with every complaint at its place."""
