"""`python -m loopback_openai LOG_FILE JSON`: serve until killed; the port is the first line printed."""

import asyncio
import sys
from pathlib import Path

from loopback_openai.chat import Log
from loopback_openai.serve import Server, load_storm


async def main(log: str, plan: str) -> None:
    server = Server(chat=load_storm(plan), log=Log(Path(log)))
    listening = await server.start()
    print(server.port, flush=True)
    await listening.serve_forever()


asyncio.run(main(*sys.argv[1:]))
