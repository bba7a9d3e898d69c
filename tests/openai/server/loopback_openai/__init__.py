"""A server on loopback that speaks what the OpenAI API speaks, fails by plan, and keeps its own account of it."""

from loopback_openai.chat import Bucket, Fault, Log, Storm
from loopback_openai.serve import Server, running

__all__ = ["Bucket", "Fault", "Log", "Server", "Storm", "running"]
