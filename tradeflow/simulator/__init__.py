"""Exchange simulators: the native protocols of four exchanges over HTTP and WebSockets on this machine."""
