// A portrait put back into its frame: warp, mask, colours matched, blended, bytes, in one pass.
//
//   (c, a) = bilinear portrait at m (p, 1), zeros outside;  a *= mask there
//   frame[p] = frame[p] (1 - a) + clamp(c * gain + a * shift) * mask               c premultiplied with a
//
// portrait: floats [height', width', 4], RGBA in 0..1, premultiplied. mask: floats [height', width'] or none.
// match: [2, 3] gain and shift for B, G, R on the scale 0..255, or none. m: [2, 3], frame to portrait.
// match_colours computes match from means and spreads over a 32 x 32 grid of the portrait, where mask and alpha are full.
#include "common.h"

DEVICE Float4 texel(const Float4* portrait, const float* mask, int height, int width, int x, int y) {
    if (x < 0 || y < 0 || x >= width || y >= height) return Float4{0, 0, 0, 0};
    const long long at = static_cast<long long>(y) * width + x;
    const Float4 c = portrait[at];
    const float m = mask ? mask[at] : 1.f;
    return Float4{c.x * m, c.y * m, c.z * m, c.w * m};
}

DEVICE Float4 mixed(const Float4& a, const Float4& b, float t) {
    return Float4{a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t, a.z + (b.z - a.z) * t, a.w + (b.w - a.w) * t};
}

DEVICE Float4 sampled(const Float4* portrait, const float* mask, int height, int width, float x, float y) {
    if (!(x > -1 && y > -1 && x < width && y < height)) return Float4{0, 0, 0, 0};
    const float left = floorf(x), top = floorf(y);
    const int ix = int(left), iy = int(top);
    const Float4 upper = mixed(texel(portrait, mask, height, width, ix, iy), texel(portrait, mask, height, width, ix + 1, iy), x - left);
    const Float4 lower =
        mixed(texel(portrait, mask, height, width, ix, iy + 1), texel(portrait, mask, height, width, ix + 1, iy + 1), x - left);
    return mixed(upper, lower, y - top);
}

DEVICE u8 blended(u8 under, float colour, float alpha, float gain, float shift) {
    const float over = limited(colour * 255 * gain + alpha * shift, 0.f, alpha * 255);
    return static_cast<u8>(limited(under * (1 - alpha) + over + 0.5f, 0.f, 255.f));
}

KERNEL(blend_back, 256)(
    u8* frame, const Float4* portrait, const float* mask, const float* match, const float* m, int height, int width,
    int portrait_height, int portrait_width
) {
    const int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= height * width) return;
    const float x = float(i % width), y = float(i / width);
    const float u = m[0] * x + m[1] * y + m[2], v = m[3] * x + m[4] * y + m[5];
    const Float4 c = sampled(portrait, mask, portrait_height, portrait_width, u, v);
    if (c.w <= 0) return;
    const float a = limited(c.w, 0.f, 1.f);
    u8* const p = frame + 3ll * i;
    p[0] = blended(p[0], c.z, a, match ? match[0] : 1.f, match ? match[3] : 0.f);
    p[1] = blended(p[1], c.y, a, match ? match[1] : 1.f, match ? match[4] : 0.f);
    p[2] = blended(p[2], c.x, a, match ? match[2] : 1.f, match ? match[5] : 0.f);
}

constexpr int CELLS = 32, WARPS = 8;

// back: [2, 3], portrait to frame. One block; sums are kept per warp, then added in order.
KERNEL(match_colours, 256)(
    float* match, const u8* frame, const Float4* portrait, const float* mask, const float* back, int height, int width,
    int portrait_height, int portrait_width
) {
    SHARED(memory);
    float* const sums = reinterpret_cast<float*>(memory);  // [13][WARPS]
    float mine[13] = {};
    for (int cell = threadIdx.x; cell < CELLS * CELLS; cell += 256) {
        const int px = int((cell % CELLS + 0.5f) * portrait_width / CELLS), py = int((cell / CELLS + 0.5f) * portrait_height / CELLS);
        const long long at = static_cast<long long>(py) * portrait_width + px;
        const Float4 c = portrait[at];
        const float x = back[0] * px + back[1] * py + back[2], y = back[3] * px + back[4] * py + back[5];
        if (c.w < 0.8f || (mask && mask[at] < 0.8f) || !(x >= 0 && y >= 0 && x < width && y < height)) continue;
        const u8* const p = frame + (static_cast<long long>(int(y)) * width + int(x)) * 3;
        const float ours[3] = {c.z / c.w * 255, c.y / c.w * 255, c.x / c.w * 255};
        mine[0] += 1;
        UNROLL for (int k = 0; k < 3; k++) {
            mine[1 + k] += ours[k], mine[4 + k] += ours[k] * ours[k];
            mine[7 + k] += p[k], mine[10 + k] += float(p[k]) * p[k];
        }
    }
    UNROLL for (int k = 0; k < 13; k++) {
        const float total = warp_sum(mine[k]);
        if (threadIdx.x % 32 == 0) sums[k * WARPS + threadIdx.x / 32] = total;
    }
    __syncthreads();
    if (threadIdx.x >= 3) return;
    float total[5] = {};
    UNROLL for (int k = 0; k < 5; k++)
        for (int warp = 0; warp < WARPS; warp++)
            total[k] += sums[(k == 0 ? 0 : 1 + 3 * (k - 1) + threadIdx.x) * WARPS + warp];
    const float count = total[0];
    const bool enough = count >= 8;
    const float ours = enough ? total[1] / count : 0, theirs = enough ? total[3] / count : 0;
    const float spread = enough ? sqrtf(fmaxf(total[2] / count - ours * ours, 0.f)) : 0;
    const float wanted = enough ? sqrtf(fmaxf(total[4] / count - theirs * theirs, 0.f)) : 0;
    const float gain = enough ? limited(wanted / fmaxf(spread, 1.f), 0.6f, 1.6f) : 1.f;
    match[threadIdx.x] = gain;
    match[3 + threadIdx.x] = theirs - gain * ours;
}
