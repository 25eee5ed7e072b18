"""What counts in a folder of data."""

# What systems and unpackers leave: macOS, Synology's thumbnails, Windows' bin, a file system's.
_OF_SYSTEMS = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the user's: of a system, an editor or an unpacker.

    Names that begin with a dot, such as .ipynb_checkpoints and macOS's ._1.png, and those of
    systems.
    """
    return name.startswith(".") or name in _OF_SYSTEMS
