"""What is to go wrong."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Refusal:
    """The next `times` requests whose path contains `path` are answered so."""

    path: str
    status: int
    times: int = 1
    retry_after: int = 0
    watch: bool | None = None  # only watches, or only what is none
    message: str = "injected"


@dataclass
class Faults:
    """The defaults are a good day."""

    token: str = ""  # the bearer token that is asked for
    watch_lists: bool = True  # sendInitialEvents is understood
    watch_seconds: float = 3600.0  # the server ends watches after so long
    bookmark_seconds: float = 60.0
    pause: float = 0.0  # seconds before each watch event and each list
    garbage: int = 0  # so many watch events are no JSON
    lose_continue: int = 0  # so many continue tokens have expired
    cut_lists: int = 0  # so many lists break off in their middle
    refusals: list[Refusal] = field(default_factory=list)

    def refuse(self, path: str, status: int, **more: object) -> None:
        self.refusals.append(Refusal(path, status, **more))  # type: ignore[arg-type]

    def refusal(self, path: str, watch: bool) -> Refusal | None:
        for item in self.refusals:
            if item.times > 0 and item.path in path and item.watch in (None, watch):
                item.times -= 1
                return item
        return None
