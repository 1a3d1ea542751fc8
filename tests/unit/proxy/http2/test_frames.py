"""Writing frames: hyperframe reads them."""

from __future__ import annotations

from hyperframe.frame import (
    ContinuationFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from nodemesh.proxy.http2.frames import (
    ACK,
    SETTINGS_ACK,
    write_block,
    write_goaway,
    write_ping,
    write_reset,
    write_settings,
    write_window_update,
)

NAME = (5).to_bytes(4, "big")


def parse(data: bytes) -> list[Frame]:
    found = []
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data[:9]))
        frame.parse_body(memoryview(data[9 : 9 + length]))
        found.append(frame)
        data = data[9 + length :]
    return found


def test_control_frames():
    (frame,) = parse(write_settings([(3, 100), (4, 0xFFFF)]))
    assert isinstance(frame, SettingsFrame) and frame.settings == {3: 100, 4: 0xFFFF} and not frame.flags
    (frame,) = parse(SETTINGS_ACK)
    assert isinstance(frame, SettingsFrame) and frame.flags == {"ACK"}
    (frame,) = parse(write_ping(b"12345678", ACK))
    assert isinstance(frame, PingFrame) and frame.opaque_data == b"12345678" and frame.flags == {"ACK"}
    (frame,) = parse(write_reset(NAME, 8))
    assert isinstance(frame, RstStreamFrame) and (frame.stream_id, frame.error_code) == (5, 8)
    (frame,) = parse(write_window_update(NAME, 77))
    assert isinstance(frame, WindowUpdateFrame) and (frame.stream_id, frame.window_increment) == (5, 77)
    (frame,) = parse(write_goaway(9, 11, b"why"))
    assert isinstance(frame, GoAwayFrame)
    assert (frame.last_stream_id, frame.error_code, frame.additional_data) == (9, 11, b"why")


def test_a_block_in_one_frame():
    (frame,) = parse(write_block(NAME, b"block", True, 16384))
    assert isinstance(frame, HeadersFrame) and frame.data == b"block" and frame.flags == {"END_HEADERS", "END_STREAM"}
    (frame,) = parse(write_block(NAME, b"x" * 100, False, 100))
    assert frame.flags == {"END_HEADERS"}


def test_a_block_in_several_frames():
    block = bytes(range(250))
    first, *others = parse(write_block(NAME, block, True, 100))
    assert isinstance(first, HeadersFrame) and first.flags == {"END_STREAM"}
    assert [type(frame) for frame in others] == [ContinuationFrame] * 2
    assert [set(frame.flags) for frame in others] == [set(), {"END_HEADERS"}]
    assert b"".join(frame.data for frame in (first, *others)) == block
    assert len(parse(write_block(NAME, bytes(200), False, 100))) == 2
