// Pad, insert zeros, filter, keep every n-th sample; one thread an output sample.
//
//   y[n, c, Y, X] = sum over ky, kx of f[ky, kx] * up(x)[n, c, Y * down_y + ky - pad_y, X * down_x + kx - pad_x]
//
// f is mirrored and multiplied by the gain before. Channels lie c_step samples apart and pixels p_step apart.
#include "common.h"

template <class T>
DEVICE void upfirdn2d(
    T* y, const T* x, const float* f, int batch, int channels, int height, int width, int out_height, int out_width,
    int rows, int columns, int up_x, int up_y, int down_x, int down_y, int pad_x, int pad_y, int last
) {
    const long long i = static_cast<long long>(blockIdx.x) * 256 + threadIdx.x;
    const long long area = static_cast<long long>(out_height) * out_width;
    if (i >= batch * channels * area) return;
    const int c = static_cast<int>(last ? i % channels : i / area % channels);
    const int pixel = static_cast<int>(last ? i / channels % area : i % area), n = static_cast<int>(i / area / channels);
    const int top = pixel / out_width * down_y - pad_y, left = pixel % out_width * down_x - pad_x;
    const long long c_step = last ? 1 : static_cast<long long>(height) * width, p_step = last ? channels : 1;
    x += static_cast<long long>(n) * channels * height * width + c * c_step;
    float sum = 0;
    for (int ky = 0; ky < rows; ky++) {
        const int sy = top + ky;
        if (sy < 0 || sy % up_y || sy / up_y >= height) continue;
        for (int kx = 0; kx < columns; kx++) {
            const int sx = left + kx;
            if (sx < 0 || sx % up_x || sx / up_x >= width) continue;
            sum += f[ky * columns + kx] * load_float(x + (static_cast<long long>(sy / up_y) * width + sx / up_x) * p_step);
        }
    }
    store_float(y + i, sum);
}

#define UPFIRDN2D(name, threads, T)                                                                                    \
    KERNEL(name, threads)(                                                                                             \
        T* y, const T* x, const float* f, int batch, int channels, int height, int width, int out_height,              \
        int out_width, int rows, int columns, int up_x, int up_y, int down_x, int down_y, int pad_x, int pad_y, int last \
    ) {                                                                                                                \
        upfirdn2d(                                                                                                     \
            y, x, f, batch, channels, height, width, out_height, out_width, rows, columns, up_x, up_y, down_x, down_y, \
            pad_x, pad_y, last                                                                                         \
        );                                                                                                             \
    }

UPFIRDN2D(upfirdn2d_float, 256, float)
UPFIRDN2D(upfirdn2d_half, 256, f16)
