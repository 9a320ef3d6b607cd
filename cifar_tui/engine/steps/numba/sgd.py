"""The update of `torch.optim.SGD`."""

from cifar_tui.engine.steps.numba.vectors import kernel


@kernel
def update(weights, buffer, at, gradient, rate, momentum, decay):
    """Update one weight and its momentum."""
    if decay != 0:  # 0 times infinity is NaN
        gradient += decay * weights[at]
    if momentum != 0:
        gradient += momentum * buffer[at]
    buffer[at] = gradient
    weights[at] -= rate * gradient
