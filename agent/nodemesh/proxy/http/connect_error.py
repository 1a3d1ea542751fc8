"""What a broken connection to an endpoint is to a request, whichever codec it speaks."""

from __future__ import annotations

import errno
import os

from ...reasons import Reason
from ..doomed import SHORTAGES
from ..gate import OVER_QUOTA
from ..tls.transport import TlsError

#: A reason, and what is to be said of it beside Envoy's words.
Failure = tuple[Reason, str]


def failure_of(error: OSError, established: bool) -> Failure:
    """Why it broke, or was never made."""
    if established:
        return (Reason.LIMIT_PER_POD if error.errno == OVER_QUOTA else Reason.UPSTREAM_REMOTE_RESET), ""
    if error.errno in SHORTAGES:
        return Reason.LOCAL_CONNECTION_FAILURE, describe(error)
    if error.errno == errno.ETIMEDOUT:
        return Reason.UPSTREAM_CONNECTION_TIMEOUT, ""
    if isinstance(error, TlsError):
        return Reason.UPSTREAM_CONNECTION_FAILURE, str(error)
    return Reason.UPSTREAM_CONNECTION_FAILURE, f"delayed connect error: {describe(error)}"


def describe(error: OSError) -> str:
    """The system's words for an error, as Envoy shows them."""
    return os.strerror(error.errno) if error.errno else str(error)
