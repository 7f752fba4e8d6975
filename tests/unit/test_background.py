"""What goes on beside a test ends with its context, and an error there is told once."""

from __future__ import annotations

import pytest

from tests.background import Background


class Waiting(Background):
    """Does nothing until it is ended."""

    async def _run(self) -> None:
        """Wait for the end."""
        self._ended.wait()


class Failing(Background):
    """Fails at once."""

    def _work(self) -> None:
        """Fail."""
        raise ValueError("its own")


def test_the_thread_ends_with_the_context() -> None:
    """It runs while the context lasts, and no longer."""
    with Waiting() as waiting:
        assert waiting._thread.is_alive()
    assert not waiting._thread.is_alive()


def test_an_error_of_the_thread_is_raised_at_the_end() -> None:
    """What failed in the background does not go unnoticed."""
    with pytest.raises(ValueError, match="its own"), Failing():
        pass


def test_an_error_of_the_thread_is_raised_once() -> None:
    """Whoever stops it early is told; the end of the context does not say it again."""
    with Failing() as failing:
        with pytest.raises(ValueError, match="its own"):
            failing.stop()
        failing.stop()


def test_an_error_of_the_context_comes_first() -> None:
    """It is raised as it is, and says what the thread had failed by."""
    with pytest.raises(KeyError) as caught, Failing():
        raise KeyError("the context's")
    assert caught.value.__notes__ == ["Failing had failed by ValueError('its own')"]


def test_an_error_is_kept_for_later() -> None:
    """To end it tells nothing, so that what is done after a failure goes on."""
    with pytest.raises(ValueError, match="its own"), Failing() as failing:
        failing.end()
