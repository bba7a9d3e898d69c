"""The network itself: modules, their weights put together, and tracing of what is not finite."""
