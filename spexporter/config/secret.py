"""A client secret: hidden wherever it is shown, and read again from its file each time it is needed."""

import errno
import stat
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

MAX_BYTES = 64 * 1024


def read_secret(path: Path) -> str:
    """Return the text of a secret file without the line break at its end.

    Raises:
        OSError: The file cannot be read or holds no usable text; `strerror` says why in words for operators.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "must be a regular file, because it is read again at each renewal", str(path))
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(errno.EFBIG, f"is larger than {MAX_BYTES} bytes", str(path))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # `from None`: the error that was caught carries the file's content.
        raise OSError(errno.EILSEQ, "is not UTF-8 text", str(path)) from None
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret.strip():
        raise OSError(errno.ENODATA, "is empty", str(path))
    return secret


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a client secret is to be found: its text, or the file that holds it."""

    source: SecretStr | Path

    def reveal(self) -> str:
        """Return the secret as it is now; a file is read again at each call.

        Raises:
            OSError: The file cannot be read or holds no usable text, as in `read_secret`.
        """
        return read_secret(self.source) if isinstance(self.source, Path) else self.source.get_secret_value()
