"""The durable memory: every job's state, attempts, assets and events, checkpointed in SQLite."""
