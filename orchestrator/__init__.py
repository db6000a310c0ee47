"""Turn a YAML manifest of avatar/audio pairs into finished talking-avatar videos."""
