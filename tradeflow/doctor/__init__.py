"""What can be wrong before or beside a worker, looked for one by one: each finding has value, limit and its fix."""
