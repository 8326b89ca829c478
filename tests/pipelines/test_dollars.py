"""Mean dollar volume as pandas computes it: of whole windows for research, of what is known for orders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sigc_pipelines.prices.dollars import WINDOW, mean_dollars, mean_of_known
from tests.pipelines.test_backtest import frames, made


def test_the_mean_of_twenty_whole_rows(tmp_path: Path) -> None:
    """By the prices that are given, which need not be those of the file, and the file's volumes of the same rows."""
    loaded, space = made(tmp_path)
    prices, volumes = frames()
    prices.iloc[25, 1] = np.nan
    expected = (prices * volumes).rolling(20).mean()
    assert np.allclose(mean_dollars(loaded, space, prices.to_numpy(), 0, len(prices)), expected, equal_nan=True)
    found = mean_dollars(loaded, space, prices.to_numpy()[10:50], 10, 50)
    assert np.allclose(found[WINDOW - 1 :], expected[29:50], equal_nan=True)
    assert np.isnan(found[: WINDOW - 1]).all()


def test_the_mean_of_what_is_known() -> None:
    prices, volumes = frames()
    prices.iloc[25, 1] = np.nan
    volumes.iloc[10:40, 2] = np.nan
    expected = (prices * volumes).rolling(20, min_periods=1).mean()
    found = mean_of_known(prices.to_numpy(), volumes.to_numpy())
    assert np.allclose(found, expected, equal_nan=True)
    assert np.isnan(found).sum() == 11  # of the third asset, where none of twenty rows is known
    assert mean_of_known(np.array([[3.0]]), np.array([[7.0]])) == pytest.approx(21.0)
