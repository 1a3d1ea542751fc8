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
    TCP_SMALL = 27
    # routing
    ROUTE_NOT_FOUND = 64
    HOST_NOT_FOUND = 65
    CLUSTER_NOT_FOUND = 66
    NO_HEALTHY_UPSTREAM = 67
    DIRECT_RESPONSE = 68
    REDIRECT = 69
    BLACKHOLE = 70
    PASSTHROUGH = 71
    INVALID_BACKEND = 72
    MISDIRECTED = 73
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
    UPSTREAM_RETRY_OVERFLOW = 91
    UPSTREAM_REFUSED_STREAM = 92
    LOCAL_CONNECTION_FAILURE = 93
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
    EXTERNAL_AUTH_DENIED = 110
    EXTERNAL_AUTH_FAILED = 111
    # what a peer does that HTTP/2, or we, do not allow
    HTTP2_PROTOCOL_ERROR = 112
    HTTP2_COMPRESSION_ERROR = 113
    HTTP2_FLOW_CONTROL = 114
    HTTP2_INVALID_FIELD = 115
    HTTP2_MESSAGING_VIOLATION = 116
    HTTP2_HEAD_TOO_LARGE = 117
    HTTP2_TOO_MANY_FIELDS = 118
    HTTP2_STREAM_REFUSED = 119
    HTTP2_REMOTE_RESET = 120
    HTTP2_RESET_FLOOD = 121
    HTTP2_CONTINUATION_FLOOD = 122
    HTTP2_CONTROL_FLOOD = 123
    HTTP2_EMPTY_FRAMES_FLOOD = 124
    HTTP2_IDLE_FRAMES_FLOOD = 125
    HTTP2_WINDOW_UPDATE_FLOOD = 126
    RULES_TOO_COSTLY = 109
    HOPS_USED_UP = 127


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
    Reason.TCP_SMALL: ReasonText("-", "tcp_small"),
    Reason.ROUTE_NOT_FOUND: ReasonText("NR", "route_not_found"),
    Reason.HOST_NOT_FOUND: ReasonText("NR", "route_not_found"),
    Reason.CLUSTER_NOT_FOUND: ReasonText("NC", "cluster_not_found"),
    Reason.NO_HEALTHY_UPSTREAM: ReasonText("UH", "no_healthy_upstream"),
    Reason.DIRECT_RESPONSE: ReasonText("-", "direct_response"),
    Reason.REDIRECT: ReasonText("-", "direct_response"),
    Reason.BLACKHOLE: ReasonText("-", "direct_response"),
    Reason.PASSTHROUGH: ReasonText("-", "via_upstream"),
    Reason.INVALID_BACKEND: ReasonText("NC", "invalid_backend"),
    Reason.MISDIRECTED: ReasonText("NR", "misdirected_request"),
    Reason.UPSTREAM_CONNECTION_FAILURE: ReasonText(
        "UF", "upstream_reset_before_response_started{remote_connection_failure}"
    ),
    Reason.LOCAL_CONNECTION_FAILURE: ReasonText(
        "UF", "upstream_reset_before_response_started{local_connection_failure}"
    ),
    Reason.UPSTREAM_CONNECTION_TIMEOUT: ReasonText("UF", "upstream_reset_before_response_started{connection_timeout}"),
    Reason.UPSTREAM_CONNECTION_TERMINATION: ReasonText(
        "UC", "upstream_reset_before_response_started{connection_termination}"
    ),
    Reason.UPSTREAM_REMOTE_RESET: ReasonText("UR", "upstream_reset_before_response_started{remote_reset}"),
    Reason.UPSTREAM_OVERFLOW: ReasonText("UO", "upstream_reset_before_response_started{overflow}"),
    Reason.UPSTREAM_PROTOCOL_ERROR: ReasonText("UPE", "upstream_reset_before_response_started{protocol_error}"),
    Reason.UPSTREAM_RETRY_LIMIT_EXCEEDED: ReasonText("URX", "via_upstream"),
    Reason.UPSTREAM_RETRY_OVERFLOW: ReasonText("UO", "via_upstream"),
    Reason.RESPONSE_TIMEOUT: ReasonText("UT", "response_timeout"),
    Reason.PER_TRY_TIMEOUT: ReasonText("UT", "upstream_per_try_timeout"),
    Reason.IDLE_TIMEOUT: ReasonText("SI", "stream_idle_timeout"),
    Reason.MAX_CONNECTION_DURATION: ReasonText("DT", "max_duration_timeout"),
    Reason.UPSTREAM_REFUSED_STREAM: ReasonText(
        "UR", "upstream_reset_before_response_started{remote_refused_stream_reset}"
    ),
    Reason.DOWNSTREAM_PROTOCOL_ERROR: ReasonText("DPE", "http1.codec_error"),
    Reason.DOWNSTREAM_CONNECTION_TERMINATION: ReasonText("DC", "downstream_remote_disconnect"),
    Reason.FAULT_ABORT: ReasonText("FI", "fault_filter_abort"),
    Reason.FAULT_DELAY: ReasonText("DI", "via_upstream"),
    Reason.REQUEST_HEADERS_TOO_LARGE: ReasonText("DPE", "http1.headers_too_large"),
    Reason.RETRY_BUFFER_LIMIT: ReasonText("-", "request_payload_exceeded_retry_buffer_limit"),
    Reason.UPGRADE_REFUSED: ReasonText("-", "upgrade_failed"),
    Reason.HTTP10_REFUSED: ReasonText("-", "low_version"),
    Reason.MISSING_HOST: ReasonText("-", "missing_host_header"),
    Reason.LIMIT_PER_POD: ReasonText("UO", "pod_limit_exceeded"),
    Reason.DRAINING: ReasonText("-", "draining"),
    Reason.HTTPS_REDIRECT: ReasonText("-", "https_redirect"),
    Reason.ORIGINAL_DESTINATION_UNKNOWN: ReasonText("-", "original_destination_unknown"),
    Reason.HTTP2_PROTOCOL_ERROR: ReasonText("DPE", "http2.codec_error"),
    Reason.HTTP2_COMPRESSION_ERROR: ReasonText("DPE", "http2.header_compression_error"),
    Reason.HTTP2_FLOW_CONTROL: ReasonText("DPE", "http2.flow_control_error"),
    Reason.HTTP2_INVALID_FIELD: ReasonText("DPE", "http2.invalid.header.field"),
    Reason.HTTP2_MESSAGING_VIOLATION: ReasonText("DPE", "http2.violation.of.messaging.rule"),
    Reason.HTTP2_HEAD_TOO_LARGE: ReasonText("DPE", "http2.header_list_size_too_large"),
    Reason.HTTP2_TOO_MANY_FIELDS: ReasonText("DPE", "http2.too_many_headers"),
    Reason.HTTP2_STREAM_REFUSED: ReasonText("DPE", "http2.max_concurrent_streams"),
    Reason.HTTP2_REMOTE_RESET: ReasonText("DR", "http2.remote_reset"),
    Reason.HTTP2_RESET_FLOOD: ReasonText("DPE", "http2.too_many_premature_resets"),
    Reason.HTTP2_CONTINUATION_FLOOD: ReasonText("DPE", "http2.continuation_flood"),
    Reason.HTTP2_CONTROL_FLOOD: ReasonText("DPE", "http2.outbound_control_flood"),
    Reason.HTTP2_EMPTY_FRAMES_FLOOD: ReasonText("DPE", "http2.inbound_empty_frames_flood"),
    Reason.HTTP2_IDLE_FRAMES_FLOOD: ReasonText("DPE", "http2.inbound_priority_frames_flood"),
    Reason.HTTP2_WINDOW_UPDATE_FLOOD: ReasonText("DPE", "http2.inbound_window_update_frames_flood"),
    Reason.EXTERNAL_AUTH_DENIED: ReasonText("UAEX", "ext_authz_denied"),
    Reason.EXTERNAL_AUTH_FAILED: ReasonText("UAEX", "ext_authz_error"),
    Reason.RULES_TOO_COSTLY: ReasonText("-", "rules_too_costly"),
    Reason.HOPS_USED_UP: ReasonText("-", "hops_used_up"),
}
