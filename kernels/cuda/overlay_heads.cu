// Drawn heads put into a picture, in place, and what covers the people's own before that. One thread a pixel.
//
//   m(p)     = bilinear mask of the box, to whole levels, / 255
//   canvas   = canvas (1 - m) + fill m                            for every cover, whose colours fill is enlarged as m is
//   d(p)     = portrait at into (p, 1), clear outside, by cubics (Keys 1981, a = -0.75) where it is only moved and enlarged,
//              else bilinear;  a pixel of it is (min(colour, a), a), a within 0..1, faded
//   canvas   = canvas (1 - o d.a) + o d.colour                    for every portrait, and rounded in the end
//
// canvas: bytes BGR [height, width, 3]. portraits: floats RGBA [heads, edge, edge, 4], colours multiplied by alpha.
// fade: [edge, edge]. places: a row a head, ``row`` floats apart: into [6], level, fades, opacity o, left,
// top, width, height of the covered box, width and height of its mask and of its colours. covers: ``room`` bytes a head,
// colours BGR, then from COLOURS on the mask. Level n is the portrait averaged over squares of 2^n pixels.
//
// Where m is 1 nothing of the canvas is left, to the last bit: it is multiplied by 0.
#include "common.h"

constexpr int COLOURS = 32 * 32 * 3;

// Bilinear at x, y in one channel of bytes [height, width, channels]; edges repeated. Between equals it is exact.
DEVICE float sampled(const u8* values, int width, int height, int channels, float x, float y) {
    x = limited(x, 0.f, float(width - 1)), y = limited(y, 0.f, float(height - 1));
    const int ix = int(x), iy = int(y), right = ix + 1 < width ? channels : 0, below = iy + 1 < height ? width * channels : 0;
    const u8* const p = values + (iy * width + ix) * channels;
    const float upper = p[0] + (float(p[right]) - p[0]) * (x - ix);
    const float lower = p[below] + (float(p[below + right]) - p[below]) * (x - ix);
    return upper + (lower - upper) * (y - iy);
}

// True where the head's cover reaches this pixel.
DEVICE bool covered(float (&bgr)[3], const float* place, const u8* cover, int x, int y) {
    const float bx = x - place[9], by = y - place[10], width = place[11], height = place[12];
    if (bx < 0 || by < 0 || bx >= width || by >= height) return false;
    const float u = (bx + 0.5f) / width, v = (by + 0.5f) / height;
    const int wide = int(place[13]), high = int(place[14]), across = int(place[15]), down = int(place[16]);
    const float level = sampled(cover + COLOURS, wide, high, 1, u * wide - 0.5f, v * high - 0.5f);
    const float m = floorf(level + 0.5f) / 255.f;
    if (m <= 0) return false;
    UNROLL for (int c = 0; c < 3; c++) {
        const float fill = sampled(cover + c, across, down, 3, u * across - 0.5f, v * down - 0.5f);
        bgr[c] = fill * m + bgr[c] * (1 - m);
    }
    return true;
}

// A pixel of a portrait's level; nothing outside of it. fade: null where it does not fade.
DEVICE Float4 drawn(const Float4* portrait, const float* fade, int edge, int level, int x, int y) {
    Float4 sum{0, 0, 0, 0};
    const int step = 1 << level;
    if (x < 0 || y < 0 || x >= edge >> level || y >= edge >> level) return sum;
    for (int row = y << level; row < (y << level) + step; row++)
        for (int column = x << level; column < (x << level) + step; column++) {
            const int i = row * edge + column;
            const Float4 p = portrait[i];
            const float shown = fade ? fade[i] : 1.f, alpha = limited(p.w, 0.f, 1.f);
            sum.x += limited(p.x, 0.f, alpha) * shown, sum.y += limited(p.y, 0.f, alpha) * shown;
            sum.z += limited(p.z, 0.f, alpha) * shown, sum.w += alpha * shown;
        }
    const float part = 1.f / (step * step);
    return Float4{sum.x * part, sum.y * part, sum.z * part, sum.w * part};
}

DEVICE void add(Float4& sum, const Float4& p, float share) {
    sum.x += p.x * share, sum.y += p.y * share, sum.z += p.z * share, sum.w += p.w * share;
}

// How much a pixel at this distance counts, at most 2.
DEVICE float cubic(float distance) {
    const float d = fabsf(distance);
    return d <= 1 ? (1.25f * d - 2.25f) * d * d + 1 : ((-0.75f * d + 3.75f) * d - 6) * d + 3;
}

// True where the portrait reaches this pixel. What lies further than a pixel beside it would only be taken off.
DEVICE bool laid(
    float (&bgr)[3], const float* place, const Float4* portrait, const float* fade, int edge, int x, int y
) {
    const float u = place[0] * x + place[1] * y + place[2], v = place[3] * x + place[4] * y + place[5];
    const int level = int(place[6]), most_at = edge >> level;
    if (!(u > -1 && v > -1 && u < most_at && v < most_at)) return false;
    if (!(place[7] > 0)) fade = nullptr;
    const float left = floorf(u), top = floorf(v), fx = u - left, fy = v - top;
    const int ix = int(left), iy = int(top);
    Float4 sum{0, 0, 0, 0};
    if (fabsf(place[1]) + fabsf(place[3]) < 1e-6f && place[0] < 1 - 1e-6f) {
        for (int row = iy - 1; row < iy + 3; row++) {
            const float down = cubic(v - row);
            for (int column = ix - 1; column < ix + 3; column++)
                add(sum, drawn(portrait, fade, edge, level, column, row), cubic(u - column) * down);
        }
        sum = Float4{limited(sum.x, 0.f, 1.f), limited(sum.y, 0.f, 1.f), limited(sum.z, 0.f, 1.f), limited(sum.w, 0.f, 1.f)};
    } else {
        add(sum, drawn(portrait, fade, edge, level, ix, iy), (1 - fx) * (1 - fy));
        add(sum, drawn(portrait, fade, edge, level, ix + 1, iy), fx * (1 - fy));
        add(sum, drawn(portrait, fade, edge, level, ix, iy + 1), (1 - fx) * fy);
        add(sum, drawn(portrait, fade, edge, level, ix + 1, iy + 1), fx * fy);
    }
    const float opacity = place[8], under = 1 - sum.w * opacity, over = 255 * opacity;
    bgr[0] = sum.z * over + bgr[0] * under, bgr[1] = sum.y * over + bgr[1] * under, bgr[2] = sum.x * over + bgr[2] * under;
    return true;
}

KERNEL(overlay_heads, 256)(
    u8* canvas, const Float4* portraits, const float* fade, const float* places, const u8* covers,
    int heads, int edge, int height, int width, int row, int room
) {
    const int i = blockIdx.x * 256 + threadIdx.x, x = i % width, y = i / width;
    if (y >= height) return;
    u8* const p = canvas + 3ll * i;
    float bgr[3] = {float(p[0]), float(p[1]), float(p[2])};
    bool changed = false;
    for (int k = 0; k < heads; k++) changed |= covered(bgr, places + k * row, covers + static_cast<long long>(k) * room, x, y);
    for (int k = 0; k < heads; k++)
        changed |= laid(bgr, places + k * row, portraits + static_cast<long long>(k) * edge * edge, fade, edge, x, y);
    if (!changed) return;
    UNROLL for (int c = 0; c < 3; c++) p[c] = static_cast<u8>(limited(bgr[c] + 0.5f, 0.f, 255.f));
}
