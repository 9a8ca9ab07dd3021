"""The stores: memory, JSON lines in files, SQLite, PostgreSQL. Each keeps what `graphflow.journal.store` promises.

None knows another, and none knows what a row means.
"""
