// The CPU build of the face world: a C interface for ctypes.
#include <vector>
#include "head.h"

#define NAME(name) #name " "
extern "C" {
const char* parameter_names() { return FACE_PARAMETERS(NAME); }
int parameter_count() { return sizeof(Parameters) / sizeof(float); }
int point_count() { return FACE_POINTS; }
int hair_rows() { return HAIR_ROWS; }

int points(const float* parameters, float* picture, float* in_head) {
    Parameters q;
    memcpy(&q, parameters, sizeof q);
    return points_of(head_of(q), picture, in_head);
}
}

namespace {
struct Pixel { float rgb[3], alpha, kind, depth, normal[3]; };

// How much of a line stands between two neighbouring pixels: borders of materials, steps in depth, creases.
float line_between(const Pixel& a, const Pixel& b) {
    if (a.alpha != b.alpha) return 1;
    const int ka = (int)a.kind, kb = (int)b.kind;
    auto thin = [](int kind) { return kind == LASH || kind == BROW || kind == GLASS || kind == METAL; };   // dark and narrow themselves
    auto inner = [](int kind) { return kind >= CAVITY && kind <= TONGUE; };
    if (ka != kb) return thin(ka) || thin(kb) ? 0.f : (ka == EYE || kb == EYE || inner(ka) && inner(kb) ? .6f : 1.f);
    if (ka == EYE || ka == GLASS || ka == BROW) return 0;
    if (a.kind != ka || b.kind != kb) return a.kind != b.kind ? .35f : 0.f;                  // lips: the line between them is painted
    if (fabsf(a.depth - b.depth) > .09f) return 1;
    float cosine = a.normal[0] * b.normal[0] + a.normal[1] * b.normal[1] + a.normal[2] * b.normal[2];
    return cosine < .55f ? (ka == HAIR || ka == BEARD ? .55f : .8f) : 0.f;
}

// Ink at a pixel: the share of a soft disc around it that lies beyond a line, so that lines are smooth at any angle.
float ink_at(const std::vector<Pixel>& pixels, int size, int x, int y, float radius) {
    const Pixel& here = pixels[y * size + x];
    const int reach = (int)radius + 1;
    float sum = 0, all = 0;
    for (int dy = -reach; dy <= reach; dy++)
        for (int dx = -reach; dx <= reach; dx++) {
            int nx = x + dx, ny = y + dy;
            float w = radius + .5f - sqrtf(float(dx * dx + dy * dy));
            if (w <= 0 || (!dx && !dy)) continue;
            w = w < 1 ? w : 1;
            all += w;
            if (nx >= 0 && ny >= 0 && nx < size && ny < size) sum += w * line_between(here, pixels[ny * size + nx]);
        }
    if (sum > .9f * all) return 0;   // a speck, not a line
    float t = (sum / all - .06f) / .22f;
    return t < 0 ? 0 : (t > 1 ? 1 : t);
}

void draw(const Parameters& q, int size, unsigned char* rgba) {
    const Head h = head_of(q);
    const int count = size * size;
    std::vector<Pixel> pixels(count);
    auto place = [&](int pixel, float ox, float oy, F& sx, F& sy, int lane) {
        sx[lane] = ((pixel % size) + .5f + ox) / size * 2 - 1;
        sy[lane] = 1 - ((pixel / size) + .5f + oy) / size * 2;
    };
    for (int by = 0; by < size; by += LANES / 4)
        for (int bx = 0; bx < size; bx += 4) {
            F sx = {}, sy = {};
            for (int lane = 0; lane < LANES; lane++) place((by + lane / 4) * size + bx + lane % 4, -.25f, -.25f, sx, sy, lane);
            Sample s = trace(sx, sy, h);
            for (int l = 0; l < LANES; l++)
                pixels[(by + l / 4) * size + bx + l % 4] = {{s.rgb.x[l], s.rgb.y[l], s.rgb.z[l]}, s.alpha[l], s.material[l], s.depth[l],
                                                           {s.normal.x[l], s.normal.y[l], s.normal.z[l]}};
        }
    std::vector<int> uneven;
    std::vector<float> sum(count * 4), weight(count, 1.f), ink(h.comic > .01f ? count : 0);
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) {
            int i = y * size + x;
            const Pixel& here = pixels[i];
            for (int c = 0; c < 3; c++) sum[i * 4 + c] = here.rgb[c];
            sum[i * 4 + 3] = here.alpha;
            bool differs = false;
            for (int k = 0; k < 4 && !differs; k++) {
                int nx = x + (k == 0) - (k == 1), ny = y + (k == 2) - (k == 3);
                if (nx < 0 || ny < 0 || nx >= size || ny >= size) continue;
                const Pixel& there = pixels[ny * size + nx];
                float contrast = fabsf(here.rgb[0] - there.rgb[0]) + fabsf(here.rgb[1] - there.rgb[1]) + fabsf(here.rgb[2] - there.rgb[2]);
                differs = (int)here.kind != (int)there.kind || contrast > .22f;
            }
            if (differs) uneven.push_back(i);
            if (h.comic > .01f && here.alpha > 0) ink[i] = h.comic * ink_at(pixels, size, x, y, size * (1.7f / 256));
        }
    const float offsets[3][2] = {{.25f, -.25f}, {-.25f, .25f}, {.25f, .25f}};
    const int jobs = (int)uneven.size() * 3;
    for (int start = 0; start < jobs; start += LANES) {
        F sx = {}, sy = {};
        for (int lane = 0; lane < LANES; lane++) {
            int job = start + lane < jobs ? start + lane : jobs - 1;
            place(uneven[job / 3], offsets[job % 3][0], offsets[job % 3][1], sx, sy, lane);
        }
        Sample s = trace(sx, sy, h);
        for (int lane = 0; lane < LANES && start + lane < jobs; lane++) {
            int i = uneven[(start + lane) / 3];
            sum[i * 4] += s.rgb.x[lane]; sum[i * 4 + 1] += s.rgb.y[lane]; sum[i * 4 + 2] += s.rgb.z[lane]; sum[i * 4 + 3] += s.alpha[lane];
            weight[i] += 1;
        }
    }
    const float black[3] = {.075f, .055f, .085f};
    for (int i = 0; i < count; i++) {
        float alpha = sum[i * 4 + 3], line = h.comic > .01f ? ink[i] : 0;
        for (int c = 0; c < 3; c++) {
            float v = alpha > 0 ? sum[i * 4 + c] / alpha : 0;
            rgba[i * 4 + c] = (unsigned char)(255 * (v + (black[c] - v) * line) + .5f);
        }
        rgba[i * 4 + 3] = (unsigned char)(255 * alpha / weight[i] + .5f);
    }
}
}

// One head's picture, rgba: size*size*4 bytes, straight alpha. One sample a pixel, then three more where neighbours
// differ in material or brightness; ink lines of the comic from the first samples.
extern "C" void draw_many(const float* parameters, int n, int size, unsigned char* rgba) {
    const int each = parameter_count();
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < n; i++) {
        Parameters q;
        memcpy(&q, parameters + (size_t)i * each, sizeof q);
        draw(q, size, rgba + (size_t)i * size * size * 4);
    }
}
