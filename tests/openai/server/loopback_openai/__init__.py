"""A server on loopback that speaks what the OpenAI API speaks, fails by plan, and keeps its own account of it."""

from loopback_openai.batches import Batches
from loopback_openai.chat import Bucket, Fault, Log, Storm
from loopback_openai.clips import draw_clips
from loopback_openai.serve import Server, running

__all__ = ["Batches", "Bucket", "Fault", "Log", "Server", "Storm", "draw_clips", "running"]
