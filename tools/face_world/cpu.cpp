// The CPU build of the face world: a C interface for ctypes.
#include <vector>
#include "head.h"

#define NAME(name) #name " "
extern "C" {
const char* parameter_names() { return FACE_PARAMETERS(NAME); }
int parameter_count() { return sizeof(Parameters) / sizeof(float); }
int point_count() { return FACE_POINTS; }

int points(const float* parameters, float* picture, float* in_head) {
    Parameters q;
    memcpy(&q, parameters, sizeof q);
    return points_of(head_of(q), picture, in_head);
}

// rgba: size*size*4 bytes, straight alpha. One sample a pixel, then three more where neighbours differ in material or brightness.
void draw(const float* parameters, int size, unsigned char* rgba) {
    Parameters q;
    memcpy(&q, parameters, sizeof q);
    const Head h = head_of(q);
    const int count = size * size;
    std::vector<float> sum(count * 4), kind(count);
    auto place = [&](int pixel, float ox, float oy, F& sx, F& sy, int lane) {
        sx[lane] = ((pixel % size) + .5f + ox) / size * 2 - 1;
        sy[lane] = 1 - ((pixel / size) + .5f + oy) / size * 2;
    };
    for (int by = 0; by < size; by += 4)
        for (int bx = 0; bx < size; bx += 4) {
            F sx = {}, sy = {}, alpha, material;
            V rgb;
            for (int lane = 0; lane < LANES; lane++) place((by + lane / 4) * size + bx + lane % 4, -.25f, -.25f, sx, sy, lane);
            trace(sx, sy, h, rgb, alpha, material);
            for (int lane = 0; lane < LANES; lane++) {
                int i = (by + lane / 4) * size + bx + lane % 4;
                sum[i * 4] = rgb.x[lane]; sum[i * 4 + 1] = rgb.y[lane]; sum[i * 4 + 2] = rgb.z[lane]; sum[i * 4 + 3] = alpha[lane];
                kind[i] = material[lane];
            }
        }
    std::vector<int> uneven;
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) {
            int i = y * size + x;
            bool differs = false;
            for (int k = 0; k < 4 && !differs; k++) {
                int nx = x + (k == 0) - (k == 1), ny = y + (k == 2) - (k == 3);
                if (nx < 0 || ny < 0 || nx >= size || ny >= size) continue;
                int j = ny * size + nx;
                float contrast = fabsf(sum[i * 4] - sum[j * 4]) + fabsf(sum[i * 4 + 1] - sum[j * 4 + 1]) + fabsf(sum[i * 4 + 2] - sum[j * 4 + 2]);
                differs = kind[i] != kind[j] || contrast > .22f;
            }
            if (differs) uneven.push_back(i);
        }
    std::vector<float> weight(count, 1.f);
    const float offsets[3][2] = {{.25f, -.25f}, {-.25f, .25f}, {.25f, .25f}};
    const int jobs = (int)uneven.size() * 3;
    for (int start = 0; start < jobs; start += LANES) {
        F sx = {}, sy = {}, alpha, material;
        V rgb;
        for (int lane = 0; lane < LANES; lane++) {
            int job = start + lane < jobs ? start + lane : jobs - 1;
            place(uneven[job / 3], offsets[job % 3][0], offsets[job % 3][1], sx, sy, lane);
        }
        trace(sx, sy, h, rgb, alpha, material);
        for (int lane = 0; lane < LANES && start + lane < jobs; lane++) {
            int i = uneven[(start + lane) / 3];
            sum[i * 4] += rgb.x[lane]; sum[i * 4 + 1] += rgb.y[lane]; sum[i * 4 + 2] += rgb.z[lane]; sum[i * 4 + 3] += alpha[lane];
            weight[i] += 1;
        }
    }
    for (int i = 0; i < count; i++) {
        float alpha = sum[i * 4 + 3];
        for (int c = 0; c < 3; c++) rgba[i * 4 + c] = (unsigned char)(255 * (alpha > 0 ? sum[i * 4 + c] / alpha : 0) + .5f);
        rgba[i * 4 + 3] = (unsigned char)(255 * alpha / weight[i] + .5f);
    }
}

void draw_many(const float* parameters, int n, int size, unsigned char* rgba) {
    const int each = parameter_count();
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < n; i++) draw(parameters + (size_t)i * each, size, rgba + (size_t)i * size * size * 4);
}
}
