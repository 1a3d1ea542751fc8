"""The one list of reasons why something ended early: shared by kernel counters, access log, metrics and `explain`."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Reason(IntEnum):
    """Why a request or connection got the answer it got. The numbers are kept: `bpf/include/reasons.h` repeats the
    kernel's share (below 64)."""

    NONE = 0
    # the kernel's hooks
    PASS_NOT_MESHED = 1
    PASS_MODE = 2
    PASS_HEARTBEAT_LATE = 3
    PASS_NO_LISTENER = 4
    PASS_NO_ENDPOINT = 5
    REFUSED_HEARTBEAT_LATE = 6
    REDIRECTED = 7
    BALANCED = 8
    MAP_FULL = 9
    REFUSED_NO_LISTENER = 10
    ORIGIN_RECORDED = 11
    ORIGIN_SHOWN = 12
    ORIGIN_DROPPED = 13
    SOCKMAP_JOINED = 14
    SOCKMAP_VERIFIED = 15
    SOCKMAP_BEGUN = 16
    SOCKMAP_REDIRECTED = 17
    TCP_BLOCKING = 18
    TCP_UNVERIFIED = 19
    TCP_UNREAD = 20
    TCP_QUEUE_FULL = 21
    TCP_NO_PEER = 22
    TCP_ULP = 23
    PASS_EXCLUDED = 24
    PASS_DEVICE = 25
    REFUSED_DEVICE = 26
    # routing
    ROUTE_NOT_FOUND = 64
    HOST_NOT_FOUND = 65
    CLUSTER_NOT_FOUND = 66
    NO_HEALTHY_UPSTREAM = 67
    DIRECT_RESPONSE = 68
    REDIRECT = 69
    BLACKHOLE = 70
    PASSTHROUGH = 71
    # upstream
    UPSTREAM_CONNECTION_FAILURE = 80
    UPSTREAM_CONNECTION_TIMEOUT = 81
    UPSTREAM_CONNECTION_TERMINATION = 82
    UPSTREAM_REMOTE_RESET = 83
    UPSTREAM_OVERFLOW = 84
    UPSTREAM_PROTOCOL_ERROR = 85
    UPSTREAM_RETRY_LIMIT_EXCEEDED = 86
    RESPONSE_TIMEOUT = 87
    PER_TRY_TIMEOUT = 88
    IDLE_TIMEOUT = 89
    MAX_CONNECTION_DURATION = 90
    # downstream
    DOWNSTREAM_PROTOCOL_ERROR = 96
    DOWNSTREAM_CONNECTION_TERMINATION = 97
    FAULT_ABORT = 98
    FAULT_DELAY = 99
    REQUEST_HEADERS_TOO_LARGE = 100
    RETRY_BUFFER_LIMIT = 101
    UPGRADE_REFUSED = 102
    HTTP10_REFUSED = 103
    MISSING_HOST = 104
    LIMIT_PER_POD = 105
    DRAINING = 106
    HTTPS_REDIRECT = 107
    ORIGINAL_DESTINATION_UNKNOWN = 108


class ReasonText(NamedTuple):
    """Envoy's response flag (`-` where it has none) and RESPONSE_CODE_DETAILS."""

    flag: str
    details: str


TEXTS: dict[Reason, ReasonText] = {
    Reason.NONE: ReasonText("-", "via_upstream"),
    Reason.PASS_NOT_MESHED: ReasonText("-", "pass_not_meshed"),
    Reason.PASS_MODE: ReasonText("-", "pass_mode"),
    Reason.PASS_HEARTBEAT_LATE: ReasonText("-", "pass_heartbeat_late"),
    Reason.PASS_NO_LISTENER: ReasonText("-", "pass_no_listener"),
    Reason.PASS_NO_ENDPOINT: ReasonText("-", "pass_no_endpoint"),
    Reason.REFUSED_HEARTBEAT_LATE: ReasonText("-", "refused_heartbeat_late"),
    Reason.REDIRECTED: ReasonText("-", "redirected"),
    Reason.BALANCED: ReasonText("-", "balanced"),
    Reason.MAP_FULL: ReasonText("-", "map_full"),
    Reason.REFUSED_NO_LISTENER: ReasonText("-", "refused_no_listener"),
    Reason.ORIGIN_RECORDED: ReasonText("-", "origin_recorded"),
    Reason.ORIGIN_SHOWN: ReasonText("-", "origin_shown"),
    Reason.ORIGIN_DROPPED: ReasonText("-", "origin_dropped"),
    Reason.SOCKMAP_JOINED: ReasonText("-", "sockmap_joined"),
    Reason.SOCKMAP_VERIFIED: ReasonText("-", "sockmap_verified"),
    Reason.SOCKMAP_BEGUN: ReasonText("-", "sockmap_begun"),
    Reason.SOCKMAP_REDIRECTED: ReasonText("-", "sockmap_redirected"),
    Reason.TCP_BLOCKING: ReasonText("-", "tcp_blocking"),
    Reason.TCP_UNVERIFIED: ReasonText("-", "tcp_unverified"),
    Reason.TCP_UNREAD: ReasonText("-", "tcp_unread"),
    Reason.TCP_QUEUE_FULL: ReasonText("-", "tcp_queue_full"),
    Reason.TCP_NO_PEER: ReasonText("-", "tcp_no_peer"),
    Reason.TCP_ULP: ReasonText("-", "tcp_ulp"),
    Reason.PASS_EXCLUDED: ReasonText("-", "pass_excluded"),
    Reason.PASS_DEVICE: ReasonText("-", "pass_device"),
    Reason.REFUSED_DEVICE: ReasonText("-", "refused_device"),
    Reason.ROUTE_NOT_FOUND: ReasonText("NR", "route_not_found"),
    Reason.HOST_NOT_FOUND: ReasonText("NR", "route_not_found"),
    Reason.CLUSTER_NOT_FOUND: ReasonText("NC", "cluster_not_found"),
    Reason.NO_HEALTHY_UPSTREAM: ReasonText("UH", "no_healthy_upstream"),
    Reason.DIRECT_RESPONSE: ReasonText("-", "direct_response"),
    Reason.REDIRECT: ReasonText("-", "direct_response"),
    Reason.BLACKHOLE: ReasonText("-", "direct_response"),
    Reason.PASSTHROUGH: ReasonText("-", "via_upstream"),
    Reason.UPSTREAM_CONNECTION_FAILURE: ReasonText(
        "UF", "upstream_reset_before_response_started{remote_connection_failure}"
    ),
    Reason.UPSTREAM_CONNECTION_TIMEOUT: ReasonText("UF", "upstream_reset_before_response_started{connection_timeout}"),
    Reason.UPSTREAM_CONNECTION_TERMINATION: ReasonText(
        "UC", "upstream_reset_before_response_started{connection_termination}"
    ),
    Reason.UPSTREAM_REMOTE_RESET: ReasonText("UR", "upstream_reset_before_response_started{remote_reset}"),
    Reason.UPSTREAM_OVERFLOW: ReasonText("UO", "upstream_reset_before_response_started{overflow}"),
    Reason.UPSTREAM_PROTOCOL_ERROR: ReasonText("UPE", "upstream_reset_before_response_started{protocol_error}"),
    Reason.UPSTREAM_RETRY_LIMIT_EXCEEDED: ReasonText("URX", "upstream_retry_limit_exceeded"),
    Reason.RESPONSE_TIMEOUT: ReasonText("UT", "response_timeout"),
    Reason.PER_TRY_TIMEOUT: ReasonText("UT", "upstream_per_try_timeout"),
    Reason.IDLE_TIMEOUT: ReasonText("SI", "stream_idle_timeout"),
    Reason.MAX_CONNECTION_DURATION: ReasonText("DT", "max_duration_timeout"),
    Reason.DOWNSTREAM_PROTOCOL_ERROR: ReasonText("DPE", "http1.codec_error"),
    Reason.DOWNSTREAM_CONNECTION_TERMINATION: ReasonText("DC", "downstream_remote_disconnect"),
    Reason.FAULT_ABORT: ReasonText("FI", "fault_filter_abort"),
    Reason.FAULT_DELAY: ReasonText("DI", "fault_filter_delay"),
    Reason.REQUEST_HEADERS_TOO_LARGE: ReasonText("DPE", "http1.headers_too_large"),
    Reason.RETRY_BUFFER_LIMIT: ReasonText("-", "request_payload_exceeded_retry_buffer_limit"),
    Reason.UPGRADE_REFUSED: ReasonText("-", "upgrade_failed"),
    Reason.HTTP10_REFUSED: ReasonText("-", "low_version"),
    Reason.MISSING_HOST: ReasonText("-", "missing_host_header"),
    Reason.LIMIT_PER_POD: ReasonText("UO", "pod_limit_exceeded"),
    Reason.DRAINING: ReasonText("-", "draining"),
    Reason.HTTPS_REDIRECT: ReasonText("-", "https_redirect"),
    Reason.ORIGINAL_DESTINATION_UNKNOWN: ReasonText("-", "original_destination_unknown"),
}
