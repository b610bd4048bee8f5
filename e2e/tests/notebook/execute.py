"""Executes a notebook without a browser, and then what no notebook can ask of itself.

    execute.py NOTEBOOK OUT

OUT is a JSON list of cells: source, outputs, and `seconds`.
"""

import asyncio
import json
import os
import sys
import time

import nbformat
from nbclient import NotebookClient

# What a person does to a kernel beside running cells is a word in front of the source.
INTERRUPT = "interrupt: "
MORE = [
    INTERRUPT + "%%sql endless\nSELECT auction, price FROM bids;",
    INTERRUPT + "%%sql counted --live\nSELECT COUNT(*) AS n FROM bids;",
    "print(len(endless), endless.columns.tolist(), counted['n'][0] > 0)",
    "%sql SHOW TABLES",
    # An INSERT without an end is saved where it is interrupted.
    "%%sql\nCREATE TABLE kept (auction BIGINT, price BIGINT) WITH ('connector' = 'filesystem', 'path' = "
    "'{folder}/kept', 'format' = 'csv');",
    INTERRUPT + "%%sql\nINSERT INTO kept SELECT auction, price FROM bids;",
    "%sql SELECT COUNT(*) > 0 AS has_rows FROM kept",
    # A query that has an end, and no result until then.
    "%%sql\nCREATE TABLE many (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '100', "
    "'number-of-rows' = '1000000');",
    INTERRUPT + "%%sql\nSELECT COUNT(*) AS n FROM many;",
    "%sql --limit 1 SELECT '<script>alert(1)</script>' AS `<b>`, 9007199254740993 AS big",
    "%sql --live --limit 900 SELECT '<script>alert(1)</script>' AS `<b>` FROM bids",
    "%sql --limt 3 SELECT 1",
    "%%sql --plot auction prise\nSELECT auction, price FROM bids;",
    "text = '%%sql\\nSELECT auction, pri'\n"
    "from IPython.core.completer import provisionalcompleter\n"
    "with provisionalcompleter():\n"
    "    found = [c.text for c in get_ipython().Completer.completions(text + '\\nFROM bids', len(text))]\n"
    "print(found)",
    "import os, weir.magic\nprint(weir.magic._magics._session._process.pid)",
]


async def execute(client, cell, number):
    """Runs a cell; one that is to be interrupted once it shows that it runs."""
    if not cell.source.startswith(INTERRUPT):
        await client.async_execute_cell(cell, number)
        return
    cell.source = cell.source[len(INTERRUPT) :]
    running = asyncio.ensure_future(client.async_execute_cell(cell, number))
    while not cell.outputs and not running.done():
        await asyncio.sleep(0.05)
    # Two looks, so that there is one to be replaced.
    await asyncio.sleep(1)
    await client.km.interrupt_kernel()
    await running


async def main(path, out):
    notebook = nbformat.read(path, 4)
    folder = os.path.dirname(out)
    for source in MORE:
        source = source.replace("{folder}", folder)
        notebook.cells.append(nbformat.v4.new_code_cell(source))
    client = NotebookClient(
        notebook,
        timeout=60,
        allow_errors=True,
        resources={"metadata": {"path": os.path.dirname(os.path.abspath(path))}},
    )
    executed = []
    async with client.async_setup_kernel():
        for number, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                began = time.monotonic()
                await execute(client, cell, number)
                took = time.monotonic() - began
                executed.append({"source": cell.source, "outputs": cell.outputs, "seconds": took})
    with open(out, "w") as file:
        json.dump(executed, file)


asyncio.run(main(*sys.argv[1:]))
