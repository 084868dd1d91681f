"""Joins callers with a board that nobody can call: the board calls the second port ahead of time, and each caller of the first gets one of
these connections. Prints both ports."""

import asyncio


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def main():
    boards = asyncio.Queue()

    async def board_calls(reader, writer):
        await boards.put((reader, writer))

    async def caller_calls(reader, writer):
        board_reader, board_writer = await boards.get()
        await asyncio.gather(copy(reader, board_writer), copy(board_reader, writer))

    servers = [await asyncio.start_server(calls, "127.0.0.1", 0) for calls in (caller_calls, board_calls)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
