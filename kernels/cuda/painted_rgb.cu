// Features to colours by a matrix of each picture's own, four sub-pixels a pixel, the smaller picture doubled and added.
//
//   y[n, 2 Y + i, 2 X + j, c] = sum_k x[n, Y, X, k] m[n, k, 4 c + 2 i + j] + the same of x2, m2 + bias[4 c + 2 i + j]
//                               + bilinear skip[n, (2 Y + i) / 2 - 1/4, (2 X + j) / 2 - 1/4, c]          edges repeated
//
// x, x2: channels-last halves [N, height, width, inputs]; x2 may be missing. m, m2: floats [N, inputs, 16]. Pictures are
// channels-last floats of four colours; skip may be missing. Four lanes share a pixel, one sub-pixel each.
#include "common.h"

constexpr int THREADS = 128;

DEVICE void add8(float (&sums)[4], const Vec& v, const float* matrix) {
    const float values[8] = {
        to_float(low_half(v.x)), to_float(high_half(v.x)), to_float(low_half(v.y)), to_float(high_half(v.y)),
        to_float(low_half(v.z)), to_float(high_half(v.z)), to_float(low_half(v.w)), to_float(high_half(v.w)),
    };
    UNROLL for (int i = 0; i < 8; i++)
        UNROLL for (int colour = 0; colour < 4; colour++) sums[colour] += values[i] * matrix[16 * i + 4 * colour];
}

DEVICE void add_features(float (&sums)[4], const f16* from, const float* matrix, int inputs) {
    if (inputs % 8 == 0)
        for (int k = 0; k < inputs; k += 8) add8(sums, *reinterpret_cast<const Vec*>(from + k), matrix + 16 * k);
    else
        for (int k = 0; k < inputs; k++)
            UNROLL for (int colour = 0; colour < 4; colour++)
                sums[colour] += to_float(from[k]) * matrix[16 * k + 4 * colour];
}

DEVICE Float4 mixed(const Float4& a, const Float4& b, float t) {
    return Float4{a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t, a.z + (b.z - a.z) * t, a.w + (b.w - a.w) * t};
}

KERNEL(painted_rgb, THREADS)(
    Float4* y, const f16* x, const float* m, const f16* x2, const float* m2, const float* bias, const Float4* skip,
    int height, int width, int inputs, int inputs2
) {
    SHARED(memory);
    float* const matrix = reinterpret_cast<float*>(memory);  // m, then m2
    const int sample = blockIdx.z, second = x2 ? inputs2 : 0;
    for (int i = threadIdx.x; i < 16 * (inputs + second); i += THREADS)
        matrix[i] = i < 16 * inputs ? m[sample * 16 * inputs + i] : m2[sample * 16 * inputs2 + i - 16 * inputs];
    __syncthreads();
    const int pixel = blockIdx.x * (THREADS / 4) + threadIdx.x / 4, part = threadIdx.x % 4;
    if (pixel >= height * width) return;
    const long long at = static_cast<long long>(sample) * height * width + pixel;
    float sums[4] = {bias[part], bias[4 + part], bias[8 + part], bias[12 + part]};
    add_features(sums, x + at * inputs, matrix + part, inputs);
    if (x2) add_features(sums, x2 + at * inputs2, matrix + 16 * inputs + part, inputs2);
    const int row = pixel / width, column = pixel % width, i = part / 2, j = part % 2;
    if (skip) {
        const int top = most(0, row - 1 + i), left = most(0, column - 1 + j);
        const int low = least(height - 1, row + i), right = least(width - 1, column + j);
        const float fy = i ? 0.25f : 0.75f, fx = j ? 0.25f : 0.75f;
        const Float4* const s = skip + static_cast<long long>(sample) * height * width;
        const Float4 upper = mixed(s[top * width + left], s[top * width + right], fx);
        const Float4 v = mixed(upper, mixed(s[low * width + left], s[low * width + right], fx), fy);
        sums[0] += v.x, sums[1] += v.y, sums[2] += v.z, sums[3] += v.w;
    }
    y[(static_cast<long long>(sample) * 2 * height + 2 * row + i) * 2 * width + 2 * column + j] =
        Float4{sums[0], sums[1], sums[2], sums[3]};
}
