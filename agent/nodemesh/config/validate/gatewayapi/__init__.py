"""What the API server checks of the Gateway API beyond types and bounds (the CEL rules of release 1.6.1), as our own
rules: folders have no API server, and each finding has its place."""

from __future__ import annotations
