"""Threads of the linear algebra that numpy, scipy and scikit-learn call."""

from __future__ import annotations

from contextlib import AbstractContextManager

from threadpoolctl import threadpool_limits


def one_thread() -> AbstractContextManager[object]:
    """Give linear algebra one thread for as long as the context lasts.

    Products of a few hundred rows are done before a second thread has begun, and threads that wait spin: on two cores
    forty fits of a logistic regression took fifty times the processor time with two. What a library loads inside the
    context is not reached, so import first.
    """
    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits
