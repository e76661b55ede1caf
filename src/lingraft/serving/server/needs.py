"""What the extra ``serve`` brings."""

from __future__ import annotations

from importlib.util import find_spec

from ...core.errors import ServiceError

PACKAGES = ("fastapi", "uvicorn", "prometheus_client")


def check_installed() -> None:
    """Refuse to go on without a package.

    Raises:
        ServiceError: One is not installed.
    """
    lacking = [name for name in PACKAGES if find_spec(name) is None]
    if lacking:
        raise ServiceError(f"lingraft serve needs {', '.join(lacking)}, not installed: pip install 'lingraft[serve]'")
