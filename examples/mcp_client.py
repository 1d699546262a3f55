"""Call the same two tools through MCP: this program is the client, `assistant mcp` the server.

python examples/mcp_client.py [--model NAME|FOLDER]
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from mcp import Client, StdioServerParameters
from mcp.types import TextContent

SAMPLES = Path(__file__).parents[1] / "ui" / "samples"
ASSISTANT = Path(sys.executable).with_name("assistant")


async def main(command: list[str]) -> None:
    """Start a server, call its tools, and print the results."""
    # By default a server inherits little of the environment, which may set the path of the weights.
    server = StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))
    async with Client(server) as client:
        print("tools:", ", ".join(tool.name for tool in (await client.list_tools()).tools))
        for name, arguments in [("caption", {}), ("refer", {"expression": "the cat"})]:
            result = await client.call_tool(name, {"image": "cat.jpg"} | arguments)
            print(f"\n{name}:", *(part.text for part in result.content if isinstance(part, TextContent)))
            for box in (result.structured_content or {}).get("boxes", []):
                print(f"{box['phrase']} is at {box['box']}, in hundredths {box['bins']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="nano")
    model = parser.parse_args().model
    asyncio.run(main([str(ASSISTANT), "mcp", "--folder", str(SAMPLES), "--model", model]))
