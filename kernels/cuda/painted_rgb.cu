// Features to colours by a matrix of each picture's own, four sub-pixels a pixel, the smaller picture doubled and added; what is
// worn laid over it, and what second features paint.
//
//   first[n, 2 Y + i, 2 X + j, c] = sum_k x[n, Y, X, k] m[n, k, 4 c + 2 i + j] + bias[4 c + 2 i + j]
//                                   + bilinear skip[n, (2 Y + i) / 2 - 1/4, (2 X + j) / 2 - 1/4, c]          edges repeated
//   hidden_p = sigmoid(sum_k x m[n, k, 16 + 4 p + 2 i + j] + the same of x2, m2 + bias[16 + 4 p + 2 i + j])
//   for each cover p: first += hidden_p (covers[n, p] - first)
//   y = first + sum_k x2[n, Y, X, k] m2[n, k, 4 c + 2 i + j] + bias2[4 c + 2 i + j]
//
// x, x2: channels-last halves [N, height, width, inputs]; x2, with bias2, may be missing. m, m2: floats [N, inputs,
// 16 + 4 covered]. Pictures are channels-last floats of four colours; skip may be missing. Four lanes share a pixel, one
// sub-pixel each.
#include "common.h"

constexpr int THREADS = 128, MOST_COVERS = 2;

// What one sub-pixel sums up of features: four colours, and how much of it each cover hides.
struct Sums { float colour[4], hidden[MOST_COVERS]; };

DEVICE void add(Sums& sums, float value, const float* matrix, int covered) {
    UNROLL for (int c = 0; c < 4; c++) sums.colour[c] += value * matrix[4 * c];
    UNROLL for (int p = 0; p < MOST_COVERS; p++)
        if (p < covered) sums.hidden[p] += value * matrix[16 + 4 * p];
}

DEVICE void add_features(Sums& sums, const f16* from, const float* matrix, int inputs, int covered) {
    const int ways = 16 + 4 * covered;
    if (inputs % 8) {
        for (int k = 0; k < inputs; k++) add(sums, to_float(from[k]), matrix + ways * k, covered);
        return;
    }
    for (int k = 0; k < inputs; k += 8) {
        const Vec v = *reinterpret_cast<const Vec*>(from + k);
        const u32 pairs[4] = {v.x, v.y, v.z, v.w};
        UNROLL for (int i = 0; i < 4; i++) {
            add(sums, to_float(low_half(pairs[i])), matrix + ways * (k + 2 * i), covered);
            add(sums, to_float(high_half(pairs[i])), matrix + ways * (k + 2 * i + 1), covered);
        }
    }
}

DEVICE Float4 mixed(const Float4& a, const Float4& b, float t) {
    return Float4{a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t, a.z + (b.z - a.z) * t, a.w + (b.w - a.w) * t};
}

KERNEL(painted_rgb, THREADS)(
    Float4* y, const f16* x, const float* m, const f16* x2, const float* m2, const float* bias, const float* bias2,
    const Float4* covers, const Float4* skip, int height, int width, int inputs, int inputs2, int covered
) {
    SHARED(memory);
    float* const matrix = reinterpret_cast<float*>(memory);  // m, then m2
    const int sample = blockIdx.z, second = x2 ? inputs2 : 0, ways = 16 + 4 * covered;
    for (int i = threadIdx.x; i < ways * (inputs + second); i += THREADS)
        matrix[i] = i < ways * inputs ? m[sample * ways * inputs + i] : m2[sample * ways * inputs2 + i - ways * inputs];
    __syncthreads();
    const int pixel = blockIdx.x * (THREADS / 4) + threadIdx.x / 4, part = threadIdx.x % 4;
    if (pixel >= height * width) return;
    const long long at = static_cast<long long>(sample) * height * width + pixel;
    Sums first = {{bias[part], bias[4 + part], bias[8 + part], bias[12 + part]}, {0.f, 0.f}};
    Sums over = {{0.f, 0.f, 0.f, 0.f}, {0.f, 0.f}};
    add_features(first, x + at * inputs, matrix + part, inputs, covered);
    if (x2) {
        UNROLL for (int c = 0; c < 4; c++) over.colour[c] = bias2[4 * c + part];
        add_features(over, x2 + at * inputs2, matrix + ways * inputs + part, inputs2, covered);
    }
    const int row = pixel / width, column = pixel % width, i = part / 2, j = part % 2;
    if (skip) {
        const int top = most(0, row - 1 + i), left = most(0, column - 1 + j);
        const int low = least(height - 1, row + i), right = least(width - 1, column + j);
        const float fy = i ? 0.25f : 0.75f, fx = j ? 0.25f : 0.75f;
        const Float4* const s = skip + static_cast<long long>(sample) * height * width;
        const Float4 upper = mixed(s[top * width + left], s[top * width + right], fx);
        const Float4 v = mixed(upper, mixed(s[low * width + left], s[low * width + right], fx), fy);
        first.colour[0] += v.x, first.colour[1] += v.y, first.colour[2] += v.z, first.colour[3] += v.w;
    }
    Float4 drawn = {first.colour[0], first.colour[1], first.colour[2], first.colour[3]};
    UNROLL for (int p = 0; p < MOST_COVERS; p++) {
        if (p >= covered) continue;
        const float logit = first.hidden[p] + over.hidden[p] + bias[16 + 4 * p + part];
        drawn = mixed(drawn, covers[sample * covered + p], 1.f / (1.f + expf(-logit)));
    }
    y[(static_cast<long long>(sample) * 2 * height + 2 * row + i) * 2 * width + 2 * column + j] = Float4{
        drawn.x + over.colour[0], drawn.y + over.colour[1], drawn.z + over.colour[2], drawn.w + over.colour[3]};
}
