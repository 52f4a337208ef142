// All layers' styles and demodulation factors of a frame, in two launches.
//
//   style_affine   s[n, r] = A[r] . w[n, row[r]] + b[r]                      r: every input channel of every layer
//   style_scale    scale[n, u] = most * peak[u] / sqrt(peak[u]^2 * sum_i s[n, i]^2 energy[u, i] + 1e-8)
//                  style[n, i] = s[n, i] / most,   most = max_i |s[n, i]|    u: every output channel of every layer
//
// energy is the sum of squares over the taps of weights divided by their peak, computed once. A unit of the table is
// (first input, inputs, place of its energy or -1 for a layer without demodulation, the layer's first unit, its units).
// Results lie layer by layer, [N, inputs] and [N, units] each, so that every layer finds its own in one piece whatever
// the batch. One warp computes one r or one u.
#include "common.h"

KERNEL(style_affine, 256)(
    float* s, const float* w, const float* affine, const float* bias, const int* row, int count, int rows, int dim
) {
    const int r = blockIdx.x * 8 + threadIdx.x / 32, lane = threadIdx.x % 32, sample = blockIdx.y;
    if (r >= count) return;
    const float* const from = w + (static_cast<long long>(sample) * rows + row[r]) * dim;
    const float* const weights = affine + static_cast<long long>(r) * dim;
    float sum = 0;
    for (int k = lane; k < dim; k += 32) sum += weights[k] * from[k];
    sum = warp_sum(sum);
    if (lane == 0) s[static_cast<long long>(sample) * count + r] = sum + bias[r];
}

KERNEL(style_scale, 256)(
    float* scale, f16* style, const float* s, const float* energy, const float* peak, const int* units, int count,
    int inputs_of_all
) {
    const int u = blockIdx.x * 8 + threadIdx.x / 32, lane = threadIdx.x % 32, sample = blockIdx.y;
    if (u >= count) return;
    const int first = units[5 * u], inputs = units[5 * u + 1], place = units[5 * u + 2];
    const int low = units[5 * u + 3], of_layer = units[5 * u + 4], batch = gridDim.y;
    const long long at = static_cast<long long>(sample) * inputs_of_all + first;
    float sum = 0, most = 0;
    for (int i = lane; i < inputs; i += 32) {
        const float v = s[at + i];
        most = fmaxf(most, fabsf(v));
        if (place >= 0) sum += v * v * energy[place + i];
    }
    most = fmaxf(warp_max(most), 1e-30f);
    sum = warp_sum(sum);
    if (lane == 0) {
        const float p = peak[u], root = place < 0 ? 1.f : inverse_root(p * p * sum + 1e-8f);
        scale[static_cast<long long>(low) * batch + sample * of_layer + u - low] = most * p * root;
    }
    if (u == low) {
        f16* const to = style + static_cast<long long>(first) * batch + sample * inputs;
        for (int i = lane; i < inputs; i += 32) to[i] = to_half(s[at + i] / most);
    }
}
