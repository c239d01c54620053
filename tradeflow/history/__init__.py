"""Earlier books and orders, made again from the log."""
