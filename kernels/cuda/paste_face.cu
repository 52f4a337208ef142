// A drawn face put over the face in a picture: mask from the outline, colours matched, boundary evened out, blended.
//
//   m(p)     = s * s * (3 - 2 s),  s = 1 - (distance to the outline - 2) / soft, within 0..1         1 inside of it
//   d(p)     = bilinear portrait at into (p, 1), edges repeated
//   match    = gain and shift that give d the mean and spread of the picture over cells with m > 250 / 255, averaged
//   left     = what then differs where 5 / 255 < m < 200 / 255, spread over cells by a Gaussian of two cells
//   canvas   = canvas (1 - m) + clamp(clamp(d gain + shift) + left) m
//
// canvas: bytes BGR [height, width, 3]. portrait: floats BGR0 on the scale 0..255, levels of halved sizes one after the
// other. place: into [6], left, top, width, height of the box that changes, soft, corners, edge of the level, its first
// pixel, weight of this picture's colours. outline: [corners, 2], convex, at least three. Cells divide the box.
#include "common.h"

constexpr int MOST_CELLS = 48, WARPS = 8, REACH = 8;
constexpr float FULL = 250.f / 255, LOW = 5.f / 255, HIGH = 200.f / 255, SPREAD = 2, FADE = 0.05f, MOST_LEFT = 40;

struct Place {
    float m[6], left, top, width, height, soft;
    int corners, edge, first;
    float weight;
};

DEVICE Place read(const float* p) {
    return Place{{p[0], p[1], p[2], p[3], p[4], p[5]}, p[6], p[7], p[8], p[9], p[10], int(p[11]), int(p[12]), int(p[13]), p[14]};
}

DEVICE int cells_of(float length) { return least(MOST_CELLS, int(length)); }

DEVICE float mask_at(const Place& a, const float* outline, float x, float y) {
    float nearest = 1e30f, low = 1e30f, high = -1e30f;
    for (int i = 0; i < a.corners; i++) {
        const int j = i + 1 < a.corners ? i + 1 : 0;
        const float px = outline[2 * i], py = outline[2 * i + 1], ex = outline[2 * j] - px, ey = outline[2 * j + 1] - py;
        const float dx = x - px, dy = y - py, side = ex * dy - ey * dx;
        low = fminf(low, side), high = fmaxf(high, side);
        const float t = limited((dx * ex + dy * ey) / fmaxf(ex * ex + ey * ey, 1e-12f), 0.f, 1.f);
        const float rx = dx - t * ex, ry = dy - t * ey;
        nearest = fminf(nearest, rx * rx + ry * ry);
    }
    if (low >= 0 || high <= 0) return 1;
    const float s = limited(1 - (sqrtf(nearest) - 2) / a.soft, 0.f, 1.f);
    return s * s * (3 - 2 * s);
}

DEVICE Float4 mixed(const Float4& a, const Float4& b, float t) {
    return Float4{a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t, a.z + (b.z - a.z) * t, a.w + (b.w - a.w) * t};
}

// Bilinear at x, y in a grid of values [height, width]; edges repeated.
DEVICE Float4 sampled(const Float4* values, int width, int height, float x, float y) {
    x = limited(x, 0.f, float(width - 1)), y = limited(y, 0.f, float(height - 1));
    const int ix = int(x), iy = int(y), jx = least(ix + 1, width - 1), jy = least(iy + 1, height - 1);
    const Float4 upper = mixed(values[iy * width + ix], values[iy * width + jx], x - ix);
    return mixed(upper, mixed(values[jy * width + ix], values[jy * width + jx], x - ix), y - iy);
}

DEVICE Float4 drawn_at(const Place& a, const Float4* portrait, float x, float y) {
    const float u = a.m[0] * x + a.m[1] * y + a.m[2], v = a.m[3] * x + a.m[4] * y + a.m[5];
    return sampled(portrait + a.first, a.edge, a.edge, u, v);
}

// cells: [48 * 48][8], the means over a cell's pixels: canvas B, G, R, drawn B, G, R, mask, nothing. One warp a cell.
KERNEL(paste_cells, 256)(
    float* cells, const u8* canvas, const Float4* portrait, const float* place, const float* outline, int width
) {
    const Place a = read(place);
    const int across = cells_of(a.width), down = cells_of(a.height), lane = threadIdx.x % 32;
    const int cell = blockIdx.x * WARPS + threadIdx.x / 32;
    if (cell >= across * down) return;
    const float wide = a.width / across, high = a.height / down;
    const float x0 = cell % across * wide, x1 = x0 + wide, y0 = cell / across * high, y1 = y0 + high;
    const int first_x = int(x0), first_y = int(y0);
    const int columns = most(1, least(int(ceilf(x1)), int(a.width)) - first_x);
    const int rows = most(1, least(int(ceilf(y1)), int(a.height)) - first_y);
    float sums[8] = {};
    for (int i = lane; i < rows * columns; i += 32) {
        const int bx = first_x + i % columns, by = first_y + i / columns;
        const float share = fmaxf(fminf(bx + 1, x1) - fmaxf(bx, x0), 0.f) * fmaxf(fminf(by + 1, y1) - fmaxf(by, y0), 0.f);
        const int x = bx + int(a.left), y = by + int(a.top);
        const u8* const p = canvas + (static_cast<long long>(y) * width + x) * 3;
        const Float4 d = drawn_at(a, portrait, x, y);
        sums[0] += p[0] * share, sums[1] += p[1] * share, sums[2] += p[2] * share;
        sums[3] += d.x * share, sums[4] += d.y * share, sums[5] += d.z * share;
        sums[6] += mask_at(a, outline, x, y) * share, sums[7] += share;
    }
    UNROLL for (int k = 0; k < 8; k++) sums[k] = warp_sum(sums[k]);
    UNROLL for (int k = 0; k < 8; k++)
        if (lane == k) cells[cell * 8 + k] = k == 7 ? 0.f : sums[k] / fmaxf(sums[7], 1e-12f);
}

// The sum over all threads of the one block, in every thread.
DEVICE float block_sum(float v, float* sums) {
    v = warp_sum(v);
    __syncthreads();
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = v;
    __syncthreads();
    float total = 0;
    for (int warp = 0; warp < WARPS; warp++) total += sums[warp];
    return total;
}

// match: [2, 3], gain and shift of B, G, R; holds those of before and gets this picture's by its weight. One block.
KERNEL(paste_match, 256)(float* match, const float* cells, const float* place) {
    SHARED(memory);
    float* const sums = reinterpret_cast<float*>(memory);
    const Place a = read(place);
    const int count = cells_of(a.width) * cells_of(a.height);
    float mine = 0;
    for (int i = threadIdx.x; i < count; i += 256) mine += cells[8 * i + 6] > FULL;
    const float inside = block_sum(mine, sums), per = 1 / fmaxf(inside, 1.f);
    UNROLL for (int k = 0; k < 3; k++) {
        float theirs = 0, ours = 0;
        for (int i = threadIdx.x; i < count; i += 256)
            if (cells[8 * i + 6] > FULL) theirs += cells[8 * i + k], ours += cells[8 * i + 3 + k];
        theirs = block_sum(theirs, sums) * per, ours = block_sum(ours, sums) * per;
        float wanted = 0, have = 0;
        for (int i = threadIdx.x; i < count; i += 256)
            if (cells[8 * i + 6] > FULL) {
                const float t = cells[8 * i + k] - theirs, o = cells[8 * i + 3 + k] - ours;
                wanted += t * t, have += o * o;
            }
        wanted = sqrtf(block_sum(wanted, sums) * per), have = sqrtf(block_sum(have, sums) * per);
        const bool enough = inside >= 8;
        const float gain = enough ? limited(wanted / fmaxf(have, 1.f), 0.6f, 1.6f) : 1.f;
        const float shift = enough ? theirs - gain * ours : 0.f;
        if (threadIdx.x == 0) {
            match[k] = a.weight >= 1 ? gain : match[k] + (gain - match[k]) * a.weight;
            match[3 + k] = a.weight >= 1 ? shift : match[3 + k] + (shift - match[3 + k]) * a.weight;
        }
    }
}

DEVICE int mirrored(int i, int n) {
    while (i < 0 || i >= n) i = n == 1 ? 0 : i < 0 ? -i : 2 * n - 2 - i;
    return i;
}

// left: [48 * 48], what is to be added in B, G, R. One thread a cell.
KERNEL(paste_left, 256)(Float4* left, const float* cells, const float* match, const float* place) {
    const Place a = read(place);
    const int across = cells_of(a.width), down = cells_of(a.height), i = blockIdx.x * 256 + threadIdx.x;
    if (i >= across * down) return;
    Float4 sum{0, 0, 0, 0};
    float total = 0;
    for (int dy = -REACH; dy <= REACH; dy++)
        for (int dx = -REACH; dx <= REACH; dx++) {
            const float share = expf((dx * dx + dy * dy) / (-2 * SPREAD * SPREAD));
            total += share;
            const float* const c = cells + 8 * (mirrored(i / across + dy, down) * across + mirrored(i % across + dx, across));
            if (!(c[6] > LOW && c[6] < HIGH)) continue;
            sum.x += share * limited(c[0] - limited(c[3] * match[0] + match[3], 0.f, 255.f), -MOST_LEFT, MOST_LEFT);
            sum.y += share * limited(c[1] - limited(c[4] * match[1] + match[4], 0.f, 255.f), -MOST_LEFT, MOST_LEFT);
            sum.z += share * limited(c[2] - limited(c[5] * match[2] + match[5], 0.f, 255.f), -MOST_LEFT, MOST_LEFT);
            sum.w += share;
        }
    const float by = 1 / (sum.w / total + FADE) / total;
    left[i] = Float4{sum.x * by, sum.y * by, sum.z * by, 0};
}

DEVICE u8 blended(u8 under, float drawn, float gain, float shift, float left, float m) {
    const float over = limited(limited(drawn * gain + shift, 0.f, 255.f) + left, 0.f, 255.f);
    return static_cast<u8>(limited(under + (over - under) * m + 0.5f, 0.f, 255.f));
}

KERNEL(paste_blend, 256)(
    u8* canvas, const Float4* portrait, const Float4* left, const float* match, const float* place, const float* outline,
    int height, int width
) {
    const int i = blockIdx.x * 256 + threadIdx.x, x = i % width, y = i / width;
    const Place a = read(place);
    const float bx = x - a.left, by = y - a.top;
    if (y >= height || bx < 0 || by < 0 || bx >= a.width || by >= a.height) return;
    const float m = mask_at(a, outline, x, y);
    if (m <= 0) return;
    const int across = cells_of(a.width), down = cells_of(a.height);
    const Float4 d = drawn_at(a, portrait, x, y);
    const Float4 l = sampled(
        left, across, down, (bx + 0.5f) * across / a.width - 0.5f, (by + 0.5f) * down / a.height - 0.5f
    );
    u8* const p = canvas + 3ll * i;
    p[0] = blended(p[0], d.x, match[0], match[3], l.x, m);
    p[1] = blended(p[1], d.y, match[1], match[4], l.y, m);
    p[2] = blended(p[2], d.z, match[2], match[5], l.z, m);
}
