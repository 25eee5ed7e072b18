"""What counts in a folder of data."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the user's: of a system, an editor or an unpacker.

    Names that begin with a dot, such as .ipynb_checkpoints and macOS's ._1.png, and __MACOSX.
    """
    return name.startswith(".") or name == "__MACOSX"
