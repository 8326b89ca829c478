"""Signatures of audit records by an ed25519 key, and their check. A signature, in hex, is of the digest's text.

Create a key pair by

    (umask 077; openssl genpkey -algorithm ed25519 -out audit.pem)
    openssl pkey -in audit.pem -pubout -out audit.pub

The daemon signs with audit.pem (`audit.sign_key`); a verifier needs audit.pub only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sigc.errors import Diagnostic, SigcError
from sigc.store.audit.chain import Sign
from sigc.store.audit.verify import IsSigned

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_SETTING = "audit.sign_key"
_MAKE = "make one by: (umask 077; openssl genpkey -algorithm ed25519 -out FILE)"
_MOST_BYTES = 100_000


def signer(path: Path) -> Sign:
    """Return a signing function with the private key of a file. Raise E402 if it is invalid, or readable by others."""
    key = _private(path)
    return lambda message: key.sign(message).hex()


def checker(paths: Sequence[Path]) -> IsSigned:
    """Return a function that checks a signature against the keys in these files, public or private. Raise E402."""
    from cryptography.exceptions import InvalidSignature

    keys = [_public(path) for path in paths]

    def is_signed(digest: str, signature: str) -> bool:
        try:
            raw = bytes.fromhex(signature)
        except ValueError:
            return False
        if raw.hex() != signature:  # accept one spelling only, or a signature could be altered unnoticed
            return False
        for key in keys:
            try:
                key.verify(raw, digest.encode())
            except InvalidSignature:
                continue
            return True
        return False

    return is_signed


def _private(path: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    text = _read(path, is_secret=True)
    try:
        key = load_pem_private_key(text, password=None)
    except TypeError:
        raise _refused(path, "is encrypted", "the daemon signs unattended: use a key without a pass phrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _refused(path, "is not a private key in PEM format", _MAKE) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _refused(path, "is of another kind than ed25519", _MAKE)
    return key


def _public(path: Path) -> Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    text = _read(path, is_secret=False)
    if b"PRIVATE KEY" in text:
        return _private(path).public_key()
    try:
        key = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm):
        hint = "make one by: openssl pkey -in KEY -pubout -out FILE"
        raise _refused(path, "is not a public key in PEM format", hint) from None
    if not isinstance(key, Ed25519PublicKey):
        raise _refused(path, "is of another kind than ed25519", _MAKE)
    return key


def _read(path: Path, *, is_secret: bool) -> bytes:
    try:
        # O_NONBLOCK: opening a named pipe must not hang. fstat, not stat: the mode is that of the file that is read.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _refused(path, f"can't be read: {error.strerror}", _MAKE) from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise _refused(path, "is not a regular file", _MAKE)
        if is_secret and status.st_mode & 0o077:
            raise _refused(path, f"may be read by others (mode {status.st_mode & 0o777:04o})", f"chmod 600 {path}")
        return os.read(handle, _MOST_BYTES)
    finally:
        os.close(handle)


def _refused(path: Path, why: str, hint: str) -> SigcError:
    return SigcError(Diagnostic("E402", f"the key {path} ({_SETTING}) {why}", hint=hint))
