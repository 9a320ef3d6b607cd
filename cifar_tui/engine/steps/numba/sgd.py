"""Stochastic gradient descent as `torch.optim.SGD` makes it, on one number."""

from cifar_tui.engine.steps.numba.vectors import kernel


@kernel
def update(weights, buffer, at, gradient, rate, momentum, decay):
    """SGD on one number."""
    if decay != 0:  # 0 times what is not finite is no number
        gradient += decay * weights[at]
    if momentum != 0:
        gradient += momentum * buffer[at]
    buffer[at] = gradient
    weights[at] -= rate * gradient
