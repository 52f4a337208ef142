// The square around the head cut out of a frame: bytes BGR [height, width, 3] to floats RGB [3, size, size] in -1..1.
//
//   crop[p] = mean over an n x n grid of sub-pixels q of p of  bilinear frame at  m (q, 1),   edges mirrored
//
// n sub-pixels per axis stand against aliasing where the crop is coarser than the frame; 0 takes one for every pixel of
// the frame. m is [2, 3], crop to frame.
#include "common.h"

struct Colour { float b, g, r; };

DEVICE Colour pixel(const u8* frame, int height, int width, int x, int y) {
    x = x < 0 ? -x : x >= width ? 2 * width - 2 - x : x, y = y < 0 ? -y : y >= height ? 2 * height - 2 - y : y;
    x = most(0, least(x, width - 1)), y = most(0, least(y, height - 1));
    const u8* const p = frame + (static_cast<long long>(y) * width + x) * 3;
    return Colour{float(p[0]), float(p[1]), float(p[2])};
}

DEVICE Colour sampled(const u8* frame, int height, int width, float x, float y) {
    x = limited(x, float(1 - width), float(2 * width - 2)), y = limited(y, float(1 - height), float(2 * height - 2));
    const float left = floorf(x), top = floorf(y), fx = x - left, fy = y - top;
    const int ix = int(left), iy = int(top);
    const Colour a = pixel(frame, height, width, ix, iy), b = pixel(frame, height, width, ix + 1, iy);
    const Colour c = pixel(frame, height, width, ix, iy + 1), d = pixel(frame, height, width, ix + 1, iy + 1);
    const float wa = (1 - fx) * (1 - fy), wb = fx * (1 - fy), wc = (1 - fx) * fy, wd = fx * fy;
    return Colour{
        a.b * wa + b.b * wb + c.b * wc + d.b * wd, a.g * wa + b.g * wb + c.g * wc + d.g * wd,
        a.r * wa + b.r * wb + c.r * wc + d.r * wd,
    };
}

KERNEL(align_crop, 256)(float* crop, const u8* frame, const float* m, int height, int width, int size, int grid) {
    const int i = blockIdx.x * 256 + threadIdx.x, area = size * size;
    if (i >= area) return;
    const int x = i % size, y = i / size;
    if (grid == 0) grid = most(1, least(8, int(ceilf(sqrtf(m[0] * m[0] + m[3] * m[3]) - 0.25f))));
    Colour sum{0, 0, 0};
    for (int v = 0; v < grid; v++)
        for (int u = 0; u < grid; u++) {
            const float qx = x + (u + 0.5f) / grid - 0.5f, qy = y + (v + 0.5f) / grid - 0.5f;
            const float fx = m[0] * qx + m[1] * qy + m[2], fy = m[3] * qx + m[4] * qy + m[5];
            const Colour c = sampled(frame, height, width, fx, fy);
            sum.b += c.b, sum.g += c.g, sum.r += c.r;
        }
    const float scale = 2.f / (255.f * grid * grid);
    crop[i] = sum.r * scale - 1, crop[area + i] = sum.g * scale - 1, crop[2 * area + i] = sum.b * scale - 1;
}
