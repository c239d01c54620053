"""Where orders go: the interface of a venue."""
