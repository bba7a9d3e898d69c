"""The model of a plugin that imports it too early."""

from ghostbench import LocalModel, Reply

SUMMARY = "too early"


class Eager(LocalModel):
    @property
    def batch_size(self):
        return 4

    def answer(self, requests):
        return [Reply(text=f"{request.frames.pixels.mean():.6f}") for request in requests]
