// A modulated 1x1 convolution to at most four colours, and the smaller picture doubled by the 4x4 filter added to it.
//
//   y[n, p, k] = clamp(sum_i x[n, p, i] style[n, i] weight[k, i] * scale[n] + bias[k]) + up(skip)[n, p, k]
//   up(skip)[Y] = sum of f[k] skip[(Y + k - 2) / 2] over the k that make it whole       (per axis; f of gain 4, mirrored)
//
// x is channels-last halves; pictures are channels-last floats. Four lanes share a pixel: each takes every fourth group
// of eight channels, then finishes one colour.
#include "common.h"

constexpr int MOST_COLOURS = 4, THREADS = 128;

DEVICE void dot8(float (&sums)[MOST_COLOURS], const Vec& v, const float* weights, int pitch) {
    const float values[8] = {
        to_float(low_half(v.x)), to_float(high_half(v.x)), to_float(low_half(v.y)), to_float(high_half(v.y)),
        to_float(low_half(v.z)), to_float(high_half(v.z)), to_float(low_half(v.w)), to_float(high_half(v.w)),
    };
    UNROLL for (int colour = 0; colour < MOST_COLOURS; colour++)
        UNROLL for (int i = 0; i < 8; i++) sums[colour] += values[i] * weights[colour * pitch + i];
}

DEVICE float doubled(const float* skip, const float* f, int height, int width, int colours, int colour, int y, int x) {
    float sum = 0;
    UNROLL for (int j = 0; j < 2; j++)
        UNROLL for (int i = 0; i < 2; i++) {
            const int ky = 2 * j + y % 2, kx = 2 * i + x % 2, sy = (y + ky - 2) / 2, sx = (x + kx - 2) / 2;
            const bool there = y + ky >= 2 && x + kx >= 2 && sy < height && sx < width;
            if (there) sum += f[ky * 4 + kx] * skip[(static_cast<long long>(sy) * width + sx) * colours + colour];
        }
    return sum;
}

KERNEL(to_rgb, THREADS)(
    float* y, const f16* x, const float* weight, const f16* style, const float* scale, const float* bias,
    const float* skip, const float* f, int height, int width, int inputs, int colours, float limit
) {
    SHARED(memory);  // style times weight, [colours][inputs] in whole groups of eight, zeros behind
    float* const weights = reinterpret_cast<float*>(memory);
    const int pitch = (inputs + 7) / 8 * 8, sample = blockIdx.z;
    const float factor = scale[sample];
    for (int i = threadIdx.x; i < MOST_COLOURS * pitch; i += THREADS) {
        const int colour = i / pitch, input = i % pitch;
        const bool there = colour < colours && input < inputs;
        const long long of_sample = static_cast<long long>(sample) * inputs + input;
        weights[i] = there ? weight[colour * inputs + input] * to_float(style[of_sample]) * factor : 0.f;
    }
    __syncthreads();
    const int pixels = height * width, part = threadIdx.x % 4, pixel = blockIdx.x * (THREADS / 4) + threadIdx.x / 4;
    const bool inside = pixel < pixels, aligned = inputs % 8 == 0;
    const long long at = static_cast<long long>(sample) * pixels + (inside ? pixel : 0);
    float sums[MOST_COLOURS] = {};
    for (int input = part * 8; input < inputs; input += 32) {
        const f16* const from = x + at * inputs + input;
        if (aligned) dot8(sums, *reinterpret_cast<const Vec*>(from), weights + input, pitch);
        else for (int i = 0; i < least(8, inputs - input); i++)
            UNROLL for (int colour = 0; colour < MOST_COLOURS; colour++)
                sums[colour] += to_float(from[i]) * weights[colour * pitch + input + i];
    }
    UNROLL for (int colour = 0; colour < MOST_COLOURS; colour++) {
        sums[colour] += shuffle_xor(sums[colour], 1);
        sums[colour] += shuffle_xor(sums[colour], 2);
    }
    if (!inside || part >= colours) return;
    float v = (part == 0 ? sums[0] : part == 1 ? sums[1] : part == 2 ? sums[2] : sums[3]) + (bias ? bias[part] : 0.f);
    if (limit >= 0) v = limited(v, -limit, limit);
    const int row = pixel / width, column = pixel % width;
    if (skip) {
        const int low = height / 2, narrow = width / 2;
        skip += static_cast<long long>(sample) * low * narrow * colours;
        v += doubled(skip, f, low, narrow, colours, part, row, column);
    }
    y[at * colours + part] = v;
}
