"""Local media files: hash, probe, stream out, fetch back, verify."""
