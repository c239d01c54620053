"""What a worker is made of between Faust and the pure parts: transport, checkpoints, sends, what it tells and hears."""
