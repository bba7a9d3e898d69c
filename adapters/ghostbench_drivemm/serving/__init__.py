"""Loaded models as a service: replicas over devices, batches that fit their memory."""
