"""The command line: a handler parses, calls one method of the facade, and prints."""
