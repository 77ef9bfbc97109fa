"""What every codec must do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canonical.findings import Finding, Rejection
from connectors.base import Codec

#: One test, inherited by several classes.
_shared = settings(suppress_health_check=[HealthCheck.differing_executors])


class CodecConformance(ABC):
    """Subclass as ``Test…`` and fill in the abstract members."""

    codec: Codec[Any]

    @abstractmethod
    def samples(self) -> list[bytes]:
        """Well-formed messages, each another one."""

    def test_well_formed_input_comes_out_as_it_went_in(self) -> None:
        """P13: ``encode(decode(raw)) == raw``"""
        for raw in self.samples():
            assert self.codec.encode(self.codec.decode(raw)) == raw

    def test_peeking_gives_every_message_a_lane(self) -> None:
        """D03"""
        for raw in self.samples():
            lanes = self.codec.peek(raw).lanes
            assert lanes
            assert all(lanes)

    def test_peeking_tells_different_messages_apart_and_equal_ones_not(self) -> None:
        """D01"""
        samples = self.samples()
        hashes = [self.codec.peek(raw).dedup for raw in samples]
        assert hashes == [self.codec.peek(raw).dedup for raw in samples]
        known = [value for value in hashes if value]
        assert known
        assert len(set(known)) == len(known)

    @_shared
    @given(st.binary(max_size=400))
    def test_peeking_never_fails_on_any_bytes(self, raw: bytes) -> None:
        """Peeking cannot fail on a bad body."""
        peek = self.codec.peek(raw)
        assert all(lane.encode() for lane in peek.lanes)

    @_shared
    @given(st.binary(max_size=400))
    def test_what_is_no_message_is_rejected_with_findings(self, raw: bytes) -> None:
        """Any other exception is a defect; what is accepted is kept."""
        self._kept_or_rejected(raw)

    @_shared
    @given(st.data())
    def test_damaged_messages_are_kept_or_rejected(self, data: st.DataObject) -> None:
        """One byte replaced, removed or doubled somewhere."""
        raw = bytearray(data.draw(st.sampled_from(self.samples())))
        at = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["replace", "remove", "double"])):
            case "replace":
                raw[at] = data.draw(st.integers(0, 255))
            case "remove":
                del raw[at]
            case _:
                raw[at:at] = raw[at:at + 1]
        self.codec.peek(bytes(raw))
        self._kept_or_rejected(bytes(raw))

    def _kept_or_rejected(self, raw: bytes) -> None:
        findings: tuple[Finding, ...] = ()
        try:
            wire = self.codec.decode(raw)
        except Rejection as rejection:
            findings = rejection.findings
        assert findings or self.codec.encode(wire) == raw

    def test_a_rejection_never_quotes_the_input(self) -> None:
        """Invariant 12"""
        with pytest.raises(Rejection) as caught:
            self.codec.decode(b"CANARY is no message")
        assert "CANARY" not in str(caught.value)
