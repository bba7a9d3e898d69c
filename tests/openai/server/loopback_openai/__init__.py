"""A server on loopback that speaks what the OpenAI API speaks, fails by plan, and keeps its own account of it."""

from loopback_openai.batches import Batches
from loopback_openai.chat import Bucket, Fault, Log, Storm
from loopback_openai.clips import draw_clips
from loopback_openai.serve import Server, running

NATIVE_KEY = "key-of-loopback-0123456789abcdefghijk"
"""Of who asks Claude's and Gemini's own APIs."""

__all__ = ["NATIVE_KEY", "Batches", "Bucket", "Fault", "Log", "Server", "Storm", "draw_clips", "running"]
