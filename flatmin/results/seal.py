"""The seal of a folder of tables: in its ``provenance.json``, the SHA-256 of every table and of the provenance itself.

What has no seal was written before there were any, or by others; it is read, and said to have none.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from flatmin.results import formats

KEY = "seal"


def sealed(provenance: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
    """A provenance with the seal of the files that belong to it.

    Args:
        provenance: In JSON's types.
        files: Content by file name.
    """
    digests = {name: sha256(content).hexdigest() for name, content in files.items()}
    return {**provenance, KEY: {"files": digests, "digest": _digest(provenance, digests)}}


def opened(found: Any) -> tuple[dict[str, Any], dict[str, str] | None]:
    """A provenance without its seal, and the digests that this holds; ``None`` if there is no seal.

    Raises:
        ValueError: If it is no provenance, or another one than was sealed.
    """
    if not isinstance(found, dict):
        raise ValueError("it holds no provenance")
    provenance = {key: value for key, value in found.items() if key != KEY}
    if KEY not in found:
        return provenance, None
    seal = found[KEY]
    if not isinstance(seal, dict) or seal.keys() != {"files", "digest"} or not isinstance(seal["files"], dict):
        raise ValueError("its seal is broken")
    if _digest(provenance, seal["files"]) != seal["digest"]:
        raise ValueError("it was changed after it was written")
    return provenance, dict(seal["files"])


def _digest(provenance: Mapping[str, Any], digests: Mapping[str, Any]) -> str:
    return sha256(formats.canonical({"provenance": provenance, "files": digests}).encode()).hexdigest()
