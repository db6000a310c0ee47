"""One read model that command line, JSON and pages all print."""
