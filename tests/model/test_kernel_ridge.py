"""Kernel ridge regression, against refitting it without each row."""

import numpy as np
import pytest

from lingraft.model.kernel_ridge import STRENGTHS, centre_kernel, fit_ridge


def rows(count, width, seed):
    """Random features ``[count, width]``."""
    return np.random.default_rng(seed).normal(size=(count, width))


def predicted_without(kernel, targets, row, strength):
    """What a row's targets are predicted to be by a fit to all others."""
    others = np.delete(np.arange(len(kernel)), row)
    dual = np.linalg.solve(kernel[np.ix_(others, others)] + strength * np.eye(len(others)), targets[others])
    return kernel[row, others] @ dual


def test_what_is_left_out_is_what_a_refit_without_the_row_predicts():
    """Row by row, with the strength that was chosen."""
    features, targets = rows(14, 5, 0), rows(14, 3, 1)
    kernel = features @ features.T
    fitted = fit_ridge(kernel, targets)
    for row in range(14):
        assert np.allclose(fitted.left_out[row], predicted_without(kernel, targets, row, fitted.strength))


@pytest.mark.parametrize("width", [5, 40])
def test_centred_rows_are_left_out_of_their_mean_too(width):
    """With more columns than rows as with fewer: the mean, the centred kernel and the targets are made anew."""
    features, targets = rows(14, width, 2), rows(14, 3, 3) + 4.0
    centred = features - features.mean(0)
    fitted = fit_ridge(centred @ centred.T, targets - targets.mean(0), centred=True)
    for row in range(14):
        others = np.delete(np.arange(14), row)
        known, wanted = features[others] - features[others].mean(0), targets[others] - targets[others].mean(0)
        dual = np.linalg.solve(known @ known.T + fitted.strength * np.eye(13), wanted)
        expected = (features[row] - features[others].mean(0)) @ known.T @ dual + targets[others].mean(0)
        assert np.allclose(fitted.left_out[row] + targets.mean(0), expected)


def test_the_strength_is_the_one_with_the_least_error_of_refits():
    """Of all that are tried, by the sum of squares."""
    features, noise = rows(20, 4, 4), rows(20, 2, 5)
    targets = features[:, :2] + 0.5 * noise
    kernel = features @ features.T

    def error(strength):
        missed = [targets[i] - predicted_without(kernel, targets, i, strength) for i in range(20)]
        return float(np.sum(np.square(missed)))

    tried = [factor * np.trace(kernel) / 20 for factor in STRENGTHS]
    assert np.isclose(fit_ridge(kernel, targets).strength, min(tried, key=error))


def test_noise_is_regularised_away():
    """Where targets have nothing to do with the rows, hardly anything is predicted."""
    features, targets = rows(60, 60, 6), rows(60, 30, 7)
    centred = features - features.mean(0)
    fitted = fit_ridge(centred @ centred.T, targets - targets.mean(0), centred=True)
    assert np.square(centred @ centred.T @ fitted.dual).mean() < 0.05


def test_rows_that_are_all_alike_predict_nothing():
    """Their kernel is 0."""
    fitted = fit_ridge(np.zeros((6, 6)), rows(6, 2, 8))
    assert np.array_equal(fitted.left_out, np.zeros((6, 2)))


def test_a_kernel_is_centred_as_its_rows_are():
    """By hand."""
    features = rows(7, 3, 9) + 2.0
    centred = features - features.mean(0)
    assert np.allclose(centre_kernel(features @ features.T), centred @ centred.T)
