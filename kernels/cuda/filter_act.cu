// A 4x4 filter over a picture with zeros around it, then noise, bias, leaky ReLU, gain and clamp, in one pass.
//
//   y[p, c] = finish(scale[c] * sum over k of f[k] * t[p + k - 1, c] + noise[p] * strength + addend[p, c] + bias[c])
//
// Pictures are channels-last halves; t is [height + 1, width + 1] for y [height, width]. A thread computes eight channels
// of four rows of a column: seven rows of four loads each instead of sixteen loads for every output.
#include "common.h"

constexpr int STRIP = 4;

DEVICE void add(float (&sums)[8], const Vec& v, float tap) {
    sums[0] += tap * to_float(low_half(v.x)), sums[1] += tap * to_float(high_half(v.x));
    sums[2] += tap * to_float(low_half(v.y)), sums[3] += tap * to_float(high_half(v.y));
    sums[4] += tap * to_float(low_half(v.z)), sums[5] += tap * to_float(high_half(v.z));
    sums[6] += tap * to_float(low_half(v.w)), sums[7] += tap * to_float(high_half(v.w));
}

DEVICE Vec some(const f16* from, int count) {  // up to eight halves that are not aligned
    u32 v[4] = {0, 0, 0, 0};
    UNROLL for (int i = 0; i < 8; i++) if (i < count) v[i / 2] |= u32(from[i]) << (i % 2 * 16);
    return Vec{v[0], v[1], v[2], v[3]};
}

KERNEL(filter_act, 128)(
    f16* y, const f16* t, const float* f, const float* scale, const float* noise, const float* bias, const f16* addend,
    int batch, int height, int width, int channels, int noise_batch, float strength, float slope, float gain, float limit
) {
    const int vectors = (channels + 7) / 8, strips = (height + STRIP - 1) / STRIP;
    const long long index = static_cast<long long>(blockIdx.x) * 128 + threadIdx.x;
    const int channel = static_cast<int>(index % vectors) * 8, x = static_cast<int>(index / vectors % width);
    const int top = static_cast<int>(index / vectors / width) * STRIP, sample = blockIdx.z;
    if (top >= strips * STRIP) return;
    const bool aligned = channels % 8 == 0;
    const int count = least(8, channels - channel), pitch = width + 1;
    t += static_cast<long long>(sample) * (height + 1) * pitch * channels + channel;
    float sums[STRIP][8] = {};
    UNROLL for (int r = 0; r < STRIP + 3; r++) {
        const int ty = top + r - 1;
        if (ty < 0 || ty > height) continue;
        UNROLL for (int kx = 0; kx < 4; kx++) {
            const int tx = x + kx - 1;
            if (tx < 0 || tx > width) continue;
            const f16* const from = t + (static_cast<long long>(ty) * pitch + tx) * channels;
            const Vec v = aligned ? *reinterpret_cast<const Vec*>(from) : some(from, count);
            UNROLL for (int row = 0; row < STRIP; row++)
                if (r - row >= 0 && r - row < 4) add(sums[row], v, f[(r - row) * 4 + kx]);
        }
    }
    const Finish finish{slope, gain, limit};
    UNROLL for (int row = 0; row < STRIP; row++) {
        const int out = top + row;
        if (out >= height) continue;
        const long long at = static_cast<long long>(out) * width + x, area = static_cast<long long>(height) * width;
        const float added = noise ? noise[(noise_batch > 1 ? sample : 0) * area + at] * strength : 0.f;
        UNROLL for (int k = 0; k < 8; k++)
            if (k < count) {
                const float factor = scale ? scale[sample * channels + channel + k] : 1.f;
                float v = sums[row][k] * factor + added + (bias ? bias[channel + k] : 0.f);
                if (addend) v += to_float(addend[(sample * area + at) * channels + channel + k]);
                sums[row][k] = finished(v, finish);
            }
        f16* const to = y + (sample * area + at) * channels + channel;
        const float(&s)[8] = sums[row];
        if (aligned) *reinterpret_cast<Vec*>(to) = Vec{pack(s[0], s[1]), pack(s[2], s[3]), pack(s[4], s[5]), pack(s[6], s[7])};
        else UNROLL for (int k = 0; k < 8; k++) if (k < count) to[k] = to_half(s[k]);
    }
}
