"""Files that are downloaded once, and checked."""

import hashlib
import os
import pathlib
from typing import NamedTuple


_VARIABLE = "RGEN_DATA"


class File(NamedTuple):
    """A file, by its name, its address and its SHA-256."""

    name: str
    url: str
    sha256: str


def fetch(file: File) -> pathlib.Path:
    """Where the file is: in the folder that `RGEN_DATA` names, if it is set, and in
    Pooch's cache otherwise, downloaded at the first call."""
    folder = os.environ.get(_VARIABLE)
    return _download(file) if folder is None else _find(file, pathlib.Path(folder))


def _find(file: File, folder: pathlib.Path) -> pathlib.Path:
    path = folder / file.name
    if not path.is_file():
        raise FileNotFoundError(
            f"{_VARIABLE} names the folder {folder}, which holds no {file.name}. Put "
            f"it there, from {file.url}, or unset {_VARIABLE} to download it."
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != file.sha256:
        raise ValueError(
            f"expected {path} to have the SHA-256 {file.sha256}, got {found}: it is "
            f"not the file that the results are for. Get {file.url}."
        )
    return path


def _download(file: File) -> pathlib.Path:
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            f"downloading {file.name} takes Pooch: pip install 'rgen-manifold[data]'. "
            f"Or set {_VARIABLE} to a folder that holds the file."
        ) from error
    try:
        path = pooch.retrieve(
            file.url,
            known_hash=f"sha256:{file.sha256}",
            fname=file.name,
            path=pooch.os_cache("rgen"),
        )
    # A ValueError is Pooch's for a file with another hash.
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"could not download {file.name} from {file.url}: {error}. Put the "
            f"file into a folder by hand, and set {_VARIABLE} to that folder."
        ) from error
    return pathlib.Path(path)
