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
from collections.abc import Iterable, Iterator
from itertools import groupby
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
# More lines of output than these are folded.
_LONGEST = 24
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
        parts.extend(_outputs(cell.outputs, path.stem, pictures))
    return "\n\n".join(part for part in parts if part) + "\n", pictures


def _block(source: str) -> str:
    """The code of a cell, in its language."""
    shell = source.startswith("%%sh\n")
    return f"```sh\n{source[5:]}\n```" if shell else f"```python\n{source}\n```"


def _outputs(outputs: list[Any], stem: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """What a cell put out, in its order; text after text is one box, however it was flushed."""
    for is_text, group in groupby(outputs, key=lambda output: _text_of(output) is not None):
        if is_text:
            yield _box(_joined(group))
        else:
            yield from (_shown(output, stem, pictures) for output in group)


def _joined(outputs: Iterable[dict[str, Any]]) -> str:
    """Pieces of a stream as they came; a value begins on a line of its own."""
    text = ""
    for output in outputs:
        if output["output_type"] != "stream" and text and not text.endswith("\n"):
            text += "\n"
        text += f"{_text_of(output)}"
    return text


def _text_of(output: dict[str, Any]) -> str | None:
    """The text of an output that is nothing else."""
    if output["output_type"] == "stream":
        return str(output["text"])
    data = output["data"]
    html = data.get("text/html", "")
    drawn = (
        any(kind.startswith("image/") for kind in data) or "<table" in html or "<progress" in html
    )
    return None if drawn else str(data["text/plain"])


def _shown(output: dict[str, Any], stem: str, pictures: dict[str, bytes]) -> str:
    """One output of a cell as Markdown; a picture is put with the others and linked."""
    data = output["data"]
    if "image/png" in data:
        name = f"{stem}-{len(pictures) + 1}.png"
        pictures[name] = base64.b64decode(data["image/png"])
        return f"![What the code above draws]({name})"
    if "image/svg+xml" in data:
        return f'<div class="drawn">\n{_flat(data["image/svg+xml"])}\n</div>'
    return f'<div class="table">\n{_flat(data["text/html"])}\n</div>'


def _box(text: str) -> str:
    """Text as a box, folded if it is long."""
    # What a progress bar has overwritten, and colours, are not for a page.
    lines = [line.rsplit("\r", 1)[-1] for line in _ESCAPES.sub("", text).rstrip().split("\n")]
    box = "\n".join(("```text", *lines, "```"))
    if len(lines) <= _LONGEST:
        return box.replace("```text", '```text title="Output"', 1)
    head = f"<details markdown>\n<summary>Output, {len(lines)} lines</summary>"
    return f"{head}\n\n{box}\n\n</details>"


def _flat(html: str) -> str:
    """HTML without blank lines, at which Markdown would end it."""
    return "\n".join(line.strip() for line in html.splitlines() if line.strip())
