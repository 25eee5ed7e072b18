"""MkDocs hook: runs the pages that hold code, and shows what each block printed and drew.

Pages in tutorial/ (Markdown) and notebooks/ (Python scripts with `# %%` cells) are notebooks to
jupytext. Each is run from top to bottom in a kernel and a scratch folder of its own; a block that
raises ends the build.
"""

import base64
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import jupytext
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

_SETUP = """
%matplotlib inline
import matplotlib
matplotlib.rcParams.update({"figure.dpi": 110, "savefig.facecolor": "white"})
"""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the executed page, and its pictures, in the place of each page that holds code."""
    # `steepest` in shell blocks is the one that is documented here.
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    for file in list(files):
        path = Path(file.src_uri)
        is_page = path.parent.name == "tutorial" and path.suffix == ".md"
        is_notebook = path.parent.name == "notebooks" and path.suffix == ".py"
        if not (is_page or is_notebook):
            continue
        text, pictures = execute(Path(config.docs_dir, path))
        if is_page:
            files.remove(file)
        else:
            text += f"\nThis page is the notebook [{path.name}]({path.name}).\n"
        page = path.with_suffix(".md")
        files.append(File.generated(config, page.as_posix(), content=text))
        for name, picture in pictures.items():
            place = page.with_name(name).as_posix()
            files.append(File.generated(config, place, content=picture))
    return files


def execute(path: Path) -> tuple[str, dict[str, bytes]]:
    """Run a page and return it as Markdown with its outputs, and its pictures by file name.

    Raises nbclient.exceptions.CellExecutionError if a block raises.
    """
    notebook = jupytext.read(path)
    notebook.cells.insert(0, new_code_cell(_SETUP))
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        NotebookClient(notebook, kernel_name="python3", timeout=300, resources=where).execute()
    pictures: dict[str, bytes] = {}
    parts = []
    for cell in notebook.cells[1:]:
        if cell.cell_type != "code":
            parts.append(cell.source)
            continue
        parts.append(_block(cell.source))
        parts.extend(_shown(output, path.stem, pictures) for output in cell.outputs)
    return "\n\n".join(part for part in parts if part) + "\n", pictures


def _block(source: str) -> str:
    """The code of a cell, in its language."""
    shell = source.startswith("%%sh\n")
    return f"```sh\n{source[5:]}\n```" if shell else f"```python\n{source}\n```"


def _shown(output: dict[str, Any], stem: str, pictures: dict[str, bytes]) -> str:
    """One output of a cell as Markdown; a picture is put with the others and linked."""
    if output["output_type"] == "stream":
        return _text(output["text"])
    data = output["data"]
    if "image/png" in data:
        name = f"{stem}-{len(pictures) + 1}.png"
        pictures[name] = base64.b64decode(data["image/png"])
        return f"![What the code above draws]({name})"
    if "image/svg+xml" in data:
        return f'<div class="drawn">\n{_flat(data["image/svg+xml"])}\n</div>'
    if "text/html" in data and "<table" in data["text/html"]:
        return f'<div class="table">\n{_flat(data["text/html"])}\n</div>'
    return _text(data["text/plain"])


def _text(text: str) -> str:
    # What a progress bar has overwritten, and colours, are not for a page.
    lines = [line.rsplit("\r", 1)[-1] for line in _ESCAPES.sub("", text).rstrip().split("\n")]
    return '```text title="Output"\n' + "\n".join(lines) + "\n```"


def _flat(html: str) -> str:
    """HTML without blank lines, at which Markdown would end it."""
    return "\n".join(line.strip() for line in html.splitlines() if line.strip())
