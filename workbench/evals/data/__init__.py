"""Data sets, and files that somebody brought, as rows that a task can trust."""
