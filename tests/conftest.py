"""Its place makes `tests/` importable, so that every test finds `emulator_support`."""
