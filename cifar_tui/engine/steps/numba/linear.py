"""Linear layers and cross-entropy: forward, backward and weight update."""

import numpy as np

from cifar_tui.engine.steps.numba.sgd import update
from cifar_tui.engine.steps.numba.vectors import (
    LANES,
    add_product,
    choose,
    greater_or_nan,
    kernel,
    load,
    load_first,
    spread,
    store_first,
    total,
)

ROWS = 4
"""Images whose linear layers are computed together."""

_ZERO = np.float32(0)


@kernel
def dense(weights, biases, inputs, outputs, width, height, rows, rectify):
    """A linear layer of `width` inputs and `height` outputs, with ReLU if `rectify`."""
    for row in range(0, rows, ROWS):
        x = row * width
        for output in range(height):
            a = b = c = d = spread(_ZERO)
            for at in range(0, width, LANES):
                w = load_first(weights, output * width + at, width - at)
                a = add_product(w, load(inputs, x + at), a)
                b = add_product(w, load(inputs, x + at + width), b)
                c = add_product(w, load(inputs, x + at + 2 * width), c)
                d = add_product(w, load(inputs, x + at + 3 * width), d)
            bias = biases[output]
            values = (total(a) + bias, total(b) + bias, total(c) + bias, total(d) + bias)
            for number in range(ROWS):
                value = values[number]
                outputs[(row + number) * height + output] = _ZERO if rectify and value <= 0 else value


@kernel
def dense_backward(weights, grads, inputs, grads_below, width, height, rows):
    """The gradients of the inputs; 0 where the preceding ReLU was 0."""
    for row in range(0, rows, ROWS):
        y = row * height
        for at in range(0, width, LANES):
            a = b = c = d = spread(_ZERO)
            count = width - at
            for output in range(height):
                w = load_first(weights, output * width + at, count)
                a = add_product(spread(grads[y + output]), w, a)
                b = add_product(spread(grads[y + output + height]), w, b)
                c = add_product(spread(grads[y + output + 2 * height]), w, c)
                d = add_product(spread(grads[y + output + 3 * height]), w, d)
            values = (a, b, c, d)
            for number in range(ROWS):
                place = (row + number) * width + at
                alive = greater_or_nan(load_first(inputs, place, count), spread(_ZERO))
                store_first(grads_below, place, choose(alive, values[number], spread(_ZERO)), count)


@kernel
def dense_update(
    weights, biases, buffer, bias_buffer, grads, inputs, width, height, batch, rate, momentum, decay
):
    """Compute the gradients of a linear layer and update it in one pass."""
    for output in range(height):
        for at in range(0, width, LANES):
            count = width - at
            place = output * width + at
            w = load_first(weights, place, count)
            gradient = spread(_ZERO)
            for row in range(batch):
                grad = spread(grads[row * height + output])
                gradient = add_product(grad, load(inputs, row * width + at), gradient)
            if decay != 0:
                gradient = add_product(spread(decay), w, gradient)
            if momentum != 0:
                gradient = add_product(spread(momentum), load_first(buffer, place, count), gradient)
            store_first(buffer, place, gradient, count)
            store_first(weights, place, add_product(spread(-rate), gradient, w), count)
        grad = _ZERO
        for row in range(batch):
            grad += grads[row * height + output]
        update(biases, bias_buffer, output, grad, rate, momentum, decay)


@kernel
def cross_entropy(logits, grads, classes, labels, batch):
    """The mean loss of a batch, its number of correct images, and the gradients of the logits."""
    loss = np.float64(0)
    correct = 0
    count = len(batch)
    for row in range(count):
        first = row * classes
        target = labels[batch[row]]
        best = 0
        for index in range(1, classes):
            if logits[first + index] > logits[first + best]:
                best = index
        highest = logits[first + best]
        correct += best == target
        summed = np.float64(0)
        for index in range(classes):
            summed += np.exp(np.float64(logits[first + index] - highest))
        loss += np.log(summed) - np.float64(logits[first + target] - highest)
        for index in range(classes):
            share = np.exp(np.float64(logits[first + index] - highest)) / summed
            grads[first + index] = np.float32((share - (index == target)) / count)
    return np.float32(loss / count), correct
