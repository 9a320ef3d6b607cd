"""The convolutions of the tutorial's net, forward and backward, with ReLU and pooling; layouts: `net`."""

import numpy as np

from cifar_tui.engine.steps.numba.sgd import update
from cifar_tui.engine.steps.numba.vectors import (
    LANES,
    add,
    add_product,
    bits,
    choose,
    equal,
    greater_or_nan,
    kernel,
    load,
    load_first,
    lowest_bit,
    spread,
    store,
    unequal,
)

_ZERO = np.float32(0)
_ONE = np.float32(1)


@kernel
def unpack_image(images, index, values, columns, pixels, first):
    """Unpack one of the uint8 images (N, 3072) into both layouts; `values` has the float of every byte."""
    for channel in range(3):
        for row in range(32):
            line = channel * 1024 + row * 32
            for column in range(16):
                even = values[images[index, line + 2 * column]]
                odd = values[images[index, line + 2 * column + 1]]
                columns[line + column] = even
                columns[line + 16 + column] = odd
                at = first + (row * 32 + 2 * column) * 3 + channel
                pixels[at] = even
                pixels[at + 3] = odd


@kernel
def _pool(a, b, c, d, right, below, pooled, winners, at):
    """Store the lane-wise maximum of four vectors, at least 0, and which one it was: the first of equals."""
    diagonal = right + below
    best, winner = a, spread(_ZERO)
    larger = greater_or_nan(b, best)
    best, winner = choose(larger, b, best), choose(larger, spread(right), winner)
    larger = greater_or_nan(c, best)
    best, winner = choose(larger, c, best), choose(larger, spread(below), winner)
    larger = greater_or_nan(d, best)
    best, winner = choose(larger, d, best), choose(larger, spread(diagonal), winner)
    store(pooled, at, choose(greater_or_nan(best, spread(_ZERO)), best, spread(_ZERO)))
    store(winners, at, winner)


@kernel
def convolve1(columns, weights, biases, pooled, winners, first):
    """conv1, ReLU and pooling: three channels at a time, a row of windows at once."""
    right, below = np.float32(3), np.float32(96)
    for channel in range(0, 6, 3):
        for row in range(14):
            a0 = a1 = a2 = a3 = spread(biases[channel])
            b0 = b1 = b2 = b3 = spread(biases[channel + 1])
            c0 = c1 = c2 = c3 = spread(biases[channel + 2])
            for part in range(15):  # input channel and row of the kernel
                line = (part // 5 * 32 + 2 * row + part % 5) * 32
                tap = channel * 75 + part * 5
                for column in range(5):
                    here = line + (column % 2) * 16 + column // 2
                    beside = line + ((column + 1) % 2) * 16 + (column + 1) // 2
                    x0, x1 = load(columns, here), load(columns, beside)
                    x2, x3 = load(columns, here + 32), load(columns, beside + 32)
                    w = spread(weights[tap + column])
                    a0, a1 = add_product(w, x0, a0), add_product(w, x1, a1)
                    a2, a3 = add_product(w, x2, a2), add_product(w, x3, a3)
                    w = spread(weights[tap + column + 75])
                    b0, b1 = add_product(w, x0, b0), add_product(w, x1, b1)
                    b2, b3 = add_product(w, x2, b2), add_product(w, x3, b3)
                    w = spread(weights[tap + column + 150])
                    c0, c1 = add_product(w, x0, c0), add_product(w, x1, c1)
                    c2, c3 = add_product(w, x2, c2), add_product(w, x3, c3)
            at = first + (channel * 14 + row) * LANES
            _pool(a0, a1, a2, a3, right, below, pooled, winners, at)
            _pool(b0, b1, b2, b3, right, below, pooled, winners, at + 14 * LANES)
            _pool(c0, c1, c2, c3, right, below, pooled, winners, at + 28 * LANES)


@kernel
def channels_last(pooled, first, maps, first_map):
    """`pooled1` to `maps1`."""
    for row in range(14):
        for column in range(14):
            for channel in range(6):
                maps[first_map + (row * 14 + column) * 6 + channel] = pooled[
                    first + (channel * 14 + row) * LANES + column
                ]


@kernel
def windows_last(pooled, hidden, first):
    """`pooled2` to `hidden0`, the order of `torch.flatten`."""
    for channel in range(16):
        for window in range(25):
            hidden[first + channel * 25 + window] = pooled[first + window * LANES + channel]


@kernel
def convolve2(maps, first_map, weights, biases, pooled, winners, first):
    """conv2, ReLU and pooling: one window at a time, its 16 channels at once."""
    bias = load_first(biases, 0, 16)
    for window in range(25):
        a = b = c = d = bias
        corner = first_map + (window // 5 * 28 + window % 5 * 2) * 6
        for row in range(5):
            here = corner + row * 84
            tap = row * 30 * LANES
            for part in range(30):  # column of the kernel and input channel
                w = load(weights, tap + part * LANES)
                a = add_product(spread(maps[here + part]), w, a)
                b = add_product(spread(maps[here + part + 6]), w, b)
                c = add_product(spread(maps[here + part + 84]), w, c)
                d = add_product(spread(maps[here + part + 90]), w, d)
        at = first + window * LANES
        _pool(a, b, c, d, np.float32(1), np.float32(2), pooled, winners, at)


@kernel
def convolve2_backward(space, image):
    """Add one image to the gradients of conv2, and compute those of `maps1`."""
    routed, grad_maps, gradient, weights = (
        space.routed2,
        space.grad_maps1,
        space.weight_grad2,
        space.backward2,
    )
    grads, first = space.grad0, image * 400
    maps, first_map = space.maps1, image * 1176
    zero = spread(_ZERO)
    bias = load(space.bias_grad, 16)
    for window in range(25):
        at = (image * 25 + window) * LANES
        for channel in range(16):
            routed[1600 + channel] = grads[first + channel * 25 + window]
        grad = load(routed, 1600)
        bias = add(bias, grad)
        winner = load(space.winners2, at)
        corner = window // 5 * 20 + window % 5 * 2
        store(routed, corner * LANES, choose(equal(winner, zero), grad, zero))
        store(routed, (corner + 1) * LANES, choose(equal(winner, spread(_ONE)), grad, zero))
        store(routed, (corner + 10) * LANES, choose(equal(winner, spread(np.float32(2))), grad, zero))
        store(routed, (corner + 11) * LANES, choose(equal(winner, spread(np.float32(3))), grad, zero))
    store(space.bias_grad, 16, bias)
    for at in range(0, 1176, 16):
        store(grad_maps, at, zero)
    for position in range(100):
        channels = bits(unequal(load(routed, position * LANES), zero))
        if channels == 0:
            continue
        corner = (position // 10 * 14 + position % 10) * 6
        patch = first_map + corner
        x0, x1 = load(maps, patch), load(maps, patch + 16)
        x2, x3 = load(maps, patch + 84), load(maps, patch + 100)
        x4, x5 = load(maps, patch + 168), load(maps, patch + 184)
        x6, x7 = load(maps, patch + 252), load(maps, patch + 268)
        x8, x9 = load(maps, patch + 336), load(maps, patch + 352)
        s0, s1 = load(grad_maps, corner), load(grad_maps, corner + 16)
        s2, s3 = load(grad_maps, corner + 84), load(grad_maps, corner + 100)
        s4, s5 = load(grad_maps, corner + 168), load(grad_maps, corner + 184)
        s6, s7 = load(grad_maps, corner + 252), load(grad_maps, corner + 268)
        s8, s9 = load(grad_maps, corner + 336), load(grad_maps, corner + 352)
        while channels != 0:
            channel = lowest_bit(channels)
            channels &= channels - 1
            grad = spread(routed[position * LANES + channel])
            at = channel * 160
            s0 = add_product(grad, load(weights, at), s0)
            s1 = add_product(grad, load(weights, at + 16), s1)
            s2 = add_product(grad, load(weights, at + 32), s2)
            s3 = add_product(grad, load(weights, at + 48), s3)
            s4 = add_product(grad, load(weights, at + 64), s4)
            s5 = add_product(grad, load(weights, at + 80), s5)
            s6 = add_product(grad, load(weights, at + 96), s6)
            s7 = add_product(grad, load(weights, at + 112), s7)
            s8 = add_product(grad, load(weights, at + 128), s8)
            s9 = add_product(grad, load(weights, at + 144), s9)
            store(gradient, at, add_product(grad, x0, load(gradient, at)))
            store(gradient, at + 16, add_product(grad, x1, load(gradient, at + 16)))
            store(gradient, at + 32, add_product(grad, x2, load(gradient, at + 32)))
            store(gradient, at + 48, add_product(grad, x3, load(gradient, at + 48)))
            store(gradient, at + 64, add_product(grad, x4, load(gradient, at + 64)))
            store(gradient, at + 80, add_product(grad, x5, load(gradient, at + 80)))
            store(gradient, at + 96, add_product(grad, x6, load(gradient, at + 96)))
            store(gradient, at + 112, add_product(grad, x7, load(gradient, at + 112)))
            store(gradient, at + 128, add_product(grad, x8, load(gradient, at + 128)))
            store(gradient, at + 144, add_product(grad, x9, load(gradient, at + 144)))
        store(grad_maps, corner, s0)
        store(grad_maps, corner + 16, s1)
        store(grad_maps, corner + 84, s2)
        store(grad_maps, corner + 100, s3)
        store(grad_maps, corner + 168, s4)
        store(grad_maps, corner + 184, s5)
        store(grad_maps, corner + 252, s6)
        store(grad_maps, corner + 268, s7)
        store(grad_maps, corner + 336, s8)
        store(grad_maps, corner + 352, s9)


@kernel
def convolve1_backward(space, image):
    """Add one image to the gradients of conv1."""
    gradient, pixels, pooled, winners = space.weight_grad1, space.pixels, space.pooled1, space.winners1
    first = image * 1344
    for channel in range(6):
        at = channel * 80
        g0, g1, g2 = load(gradient, at), load(gradient, at + 16), load(gradient, at + 32)
        g3, g4 = load(gradient, at + 48), load(gradient, at + 64)
        bias = _ZERO
        for row in range(14):
            line = first + (channel * 14 + row) * LANES
            columns = bits(greater_or_nan(load(pooled, line), spread(_ZERO))) & 0x3FFF
            while columns != 0:
                column = lowest_bit(columns)
                columns &= columns - 1
                grad = space.grad_maps1[(row * 14 + column) * 6 + channel]
                bias += grad
                lanes = spread(grad)
                patch = image * 3072 + (row * 64 + column * 2) * 3 + np.int64(winners[line + column])
                g0 = add_product(lanes, load(pixels, patch), g0)
                g1 = add_product(lanes, load(pixels, patch + 96), g1)
                g2 = add_product(lanes, load(pixels, patch + 192), g2)
                g3 = add_product(lanes, load(pixels, patch + 288), g3)
                g4 = add_product(lanes, load(pixels, patch + 384), g4)
        store(gradient, at, g0)
        store(gradient, at + 16, g1)
        store(gradient, at + 32, g2)
        store(gradient, at + 48, g3)
        store(gradient, at + 64, g4)
        space.bias_grad[channel] += bias


@kernel
def arrange_weights2(weights, forward, backward):
    """conv2's weights (16, 6, 5, 5) as (5, 5, 6, 16) and as (16, 5, 32): a row of 5 * 6 and two zeros."""
    for channel in range(16):
        for source in range(6):
            for row in range(5):
                for column in range(5):
                    weight = weights[((channel * 6 + source) * 5 + row) * 5 + column]
                    forward[((row * 5 + column) * 6 + source) * LANES + channel] = weight
                    backward[(channel * 5 + row) * 32 + column * 6 + source] = weight


@kernel
def convolution_update(weights, buffer, gradient, channels, sources, width, rate, momentum, decay):
    """SGD on the weights of a convolution; rows of its gradient are `width` apart, and set to 0."""
    for channel in range(channels):
        for source in range(sources):
            for row in range(5):
                for column in range(5):
                    at = (channel * 5 + row) * width + column * sources + source
                    place = ((channel * sources + source) * 5 + row) * 5 + column
                    update(weights, buffer, place, gradient[at], rate, momentum, decay)
    for at in range(channels * 5 * width):
        gradient[at] = _ZERO


@kernel
def biases_update(biases, buffer, gradients, first, channels, rate, momentum, decay):
    """SGD on the biases of a convolution; their gradients begin at `first` and are set to 0."""
    for channel in range(channels):
        update(biases, buffer, channel, gradients[first + channel], rate, momentum, decay)
        gradients[first + channel] = _ZERO
